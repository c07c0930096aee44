import { VaultError } from '../errors/vault-error.js';
import { isSecret, Secret } from './secret.js';

/** The error of a missing or unusable secret, without any of its content. */
export function unreadable(description: string, problem: string, found = false): VaultError {
  return new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `A secret that the login needs ${found ? 'cannot be used' : 'is missing'}: ${description} ${problem}.`,
    hint: found
      ? 'Deliver only the value, as UTF-8 and in one line; it is read again at each login.'
      : 'Set it before the process starts: at a terminal yourself, elsewhere by the orchestrator. It is read again at each login.',
  });
}

/**
 * The sent form of a secret: a string or bytes without surrounding white space.
 *
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` if it is missing or not a single line of text
 */
export function secretOf(value: unknown, description: string): Secret {
  const inner = isSecret(value) ? value.reveal() : value;
  const text = (inner instanceof Uint8Array ? decode(inner, description) : textOf(inner, description)).trim();
  if (text === '') throw unreadable(description, 'is unset or empty');
  const fault = faultOf(text);
  if (fault) throw unreadable(description, fault, true);
  return new Secret(text);
}

function textOf(value: unknown, description: string): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'string') return value;
  const kind = Array.isArray(value) ? 'array' : typeof value;
  throw unreadable(description, `is not a string (its type is ${kind})`, true);
}

/** Whether bytes begin with the byte order mark of UTF-16. */
export function hasUtf16Mark([first = 0, second = 0]: Uint8Array): boolean {
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);
}

function decode(bytes: Uint8Array, description: string): string {
  if (hasUtf16Mark(bytes))
    throw unreadable(
      description,
      'is encoded in UTF-16, as PowerShell writes files (-Encoding ascii does not)',
      true,
    );
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(description, 'is not UTF-8 text', true);
  }
}

/** The reason why a text cannot be a secret of a server: each is a mistake of the delivery. */
function faultOf(text: string): string | undefined {
  if (text.includes('\0')) return 'contains NUL characters, like UTF-16 text that is read as UTF-8';
  const lines = text.split(/\r\n|[\r\n]/).length;
  const json = kindOfJson(text);
  if (json) return `contains ${json} in JSON, not the value alone`;
  if (lines > 1) return `contains ${lines} lines`;
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f]/.test(text) ? 'contains control characters' : undefined;
}

/** Numbers do not count as JSON here, as an operator may have chosen one as secret. */
function kindOfJson(text: string): string | undefined {
  if (!/^[{["]/.test(text)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return { '{': 'an object', '[': 'an array', '"': 'a string' }[text.charAt(0)];
}
