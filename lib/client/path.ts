import { VaultError } from '../errors/vault-error.js';

// Control characters split requests or vanish in logs; they are in no legitimate name.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** What needs no encoding and can lead nowhere else: nearly all names there are. */
const PLAIN = /^[\w-]+(?:\/[\w-]+)*$/;

/**
 * Encodes one name (a role, a key) as one path segment, so that nothing in it can lead elsewhere.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function encodeSegment(name: string, what: string): string {
  if (typeof name !== 'string' || name === '') throw invalid(what, 'is empty');
  if (name.includes('/')) throw invalid(what, 'contains "/"');
  return encode(name, what);
}

/**
 * Encodes a path of several segments; leading and trailing slashes are dropped. Each segment is taken literally:
 * `%`, `?` and `#` are encoded, never interpreted.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function encodePath(path: string, what: string): string {
  if (typeof path !== 'string') throw invalid(what, 'is not a string');
  if (PLAIN.test(path)) return path;
  const segments = path.replace(/^\/+|\/+$/g, '').split('/');
  return segments
    .map((segment) => (segment === '' ? fail(what, 'is empty or has an empty part') : encode(segment, what)))
    .join('/');
}

/**
 * The same for a full API path, where `?` or `#` can only be a mistake.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function encodeApiPath(path: string): string {
  if (typeof path === 'string' && /[?#]/.test(path)) throw invalid('path', 'contains "?" or "#"');
  const encoded = encodePath(path, 'path');
  if (encoded.startsWith('v1/')) throw invalid('path', 'starts with "v1/", which is added for you');
  return encoded;
}

/** Header values are checked here, because Node's own error for a bad one prints it. */
export function assertHeaderValue(value: string, what: string, allowed = /^[\x21-\x7e]+$/): string {
  if (!allowed.test(value)) {
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The ${what} holds characters that cannot be sent in a header (its value is not shown).`,
      hint: 'Look for line breaks, quotes or non-ASCII characters where it is stored.',
    });
  }
  return value;
}

function encode(segment: string, what: string): string {
  if (segment === '.' || segment === '..') throw invalid(what, `has a "${segment}" part`);
  if (CONTROL.test(segment)) throw invalid(what, 'contains a control character');
  try {
    // Vault's own names use these unencoded; encoding them would only make audit logs unreadable.
    return encodeURIComponent(segment).replace(/%(40|3A|2B|2C|3D)/g, (code) => decodeURIComponent(code));
  } catch {
    throw invalid(what, 'is not well-formed Unicode');
  }
}

function fail(what: string, problem: string): never {
  throw invalid(what, problem);
}

function invalid(what: string, problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_PATH_INVALID',
    message: `The ${what} ${problem}.`,
    hint: `Give a plain ${what} such as Vault itself lists it; query parameters go in the options.`,
  });
}
