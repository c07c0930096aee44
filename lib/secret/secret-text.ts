import { VaultError } from '../errors/vault-error.js';
import { isSecret, Secret } from './secret.js';

/** What is not there, or what is in its place: told, and nothing of its content. */
export function unreadable(description: string, problem: string, found = false): VaultError {
  return new VaultError({
    code: 'VAULT_SOURCE_UNREADABLE',
    message: `A secret that the login needs ${found ? 'cannot be used' : 'is missing'}: ${description} ${problem}.`,
    hint: found
      ? 'Deliver the value alone, as UTF-8 and in one line; it is read again at each login.'
      : 'Have the orchestrator deliver it before the process starts; it is read again at each login.',
  });
}

/**
 * A secret as it is sent: a text or its bytes, without white space around it.
 *
 * @throws VaultError `VAULT_SOURCE_UNREADABLE` where it is none, or something else than one line of text
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
  throw unreadable(description, `is no text (its type is ${kind})`, true);
}

function decode(bytes: Uint8Array, description: string): string {
  const [first = 0, second = 0] = bytes;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff))
    throw unreadable(
      description,
      'is encoded in UTF-16, as PowerShell writes files (-Encoding ascii does not)',
      true,
    );
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(description, 'is no text in UTF-8', true);
  }
}

/** Why a text is no secret that a server handed out: each is a mistake of delivery. */
function faultOf(text: string): string | undefined {
  if (text.includes('\0')) return 'holds NUL characters, as text in UTF-16 does that is read as UTF-8';
  const lines = text.split(/\r\n|[\r\n]/).length;
  const json = kindOfJson(text);
  if (json) return `holds ${json} in JSON, not the value alone`;
  if (lines > 1) return `holds ${lines} lines`;
  // oxlint-disable-next-line no-control-regex
  return /[\u0000-\u001f\u007f]/.test(text) ? 'holds control characters' : undefined;
}

/** A number is one in JSON, too, and may be a secret that an operator chose. */
function kindOfJson(text: string): string | undefined {
  if (!/^[{["]/.test(text)) return undefined;
  try {
    JSON.parse(text);
  } catch {
    return undefined;
  }
  return { '{': 'an object', '[': 'an array', '"': 'a text' }[text.charAt(0)];
}
