import { VaultError } from '../errors/vault-error.js';

// Control characters split requests or are invisible in logs; no valid name contains them.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Names that need no encoding and cannot change the path: nearly all names. */
const PLAIN = /^[\w-]+(?:\/[\w-]+)*$/;

/** Limit of an encoded path in characters. Servers and proxies accept lines of 8 KB or more. */
const LONGEST = 4_096;

/**
 * Encodes one name (a role, a key) as one path segment, so that it cannot change the path.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function encodeSegment(name: string, what: string): string {
  if (typeof name !== 'string' || name === '') throw invalid(what, 'is empty');
  assertLength(name, what);
  if (name.includes('/')) throw invalid(what, 'contains "/"');
  return assertLength(encode(name, what), what);
}

/**
 * Encodes a path of several segments. Each segment is taken literally: `%`, `?` and `#` are encoded, never interpreted.
 * A slash at the start or the end is refused, not dropped: it shows that a name was empty, and the rest would be
 * another path.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function encodePath(path: string, what: string): string {
  if (typeof path !== 'string') throw invalid(what, 'is not a string');
  assertLength(path, what);
  if (PLAIN.test(path)) return path;
  const encoded = path.split('/').map((segment) => {
    if (segment === '') throw invalid(what, 'is empty or has an empty part (a "/" too many)');
    return encode(segment, what);
  });
  return assertLength(encoded.join('/'), what);
}

/**
 * Encodes a full API path, in which `?` or `#` can only be a mistake.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function encodeApiPath(path: string): string {
  if (typeof path === 'string' && path.length <= LONGEST) {
    if (/[?#]/.test(path)) throw invalid('path', 'contains "?" or "#"');
    if (/^\/?v1\//.test(path)) throw invalid('path', 'starts with "v1/", which is added for you');
  }
  return encodePath(path, 'path');
}

/** Encodes the path of a LIST, which may end in "/": servers name folders so, and add it if it is missing. */
export function encodeFolder(path: string): string {
  return encodeApiPath(typeof path === 'string' && path.endsWith('/') ? path.slice(0, -1) : path);
}

/**
 * The path of a mount or namespace without the slash at its end, which `vault secrets list` and `vault namespace list`
 * show, and without one at its start.
 */
export function barePath(mount: string): string {
  if (typeof mount !== 'string') return mount;
  return mount.slice(mount.startsWith('/') ? 1 : 0, mount.length > 1 && mount.endsWith('/') ? -1 : undefined);
}

/** Encodes the path of a mount; drops one slash at each end, see {@link barePath}. */
export function encodeMount(mount: string, what = 'mount'): string {
  return encodePath(barePath(mount), what);
}

/** Checks a header value here, because Node's own error for an invalid one prints it. */
export function assertHeaderValue(value: string, what: string, allowed = /^[\x21-\x7e]+$/): string {
  if (!allowed.test(value)) {
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `The ${what} contains characters that cannot be sent in a header (its value is not shown).`,
      hint: 'Check its source for line breaks, quotes or non-ASCII characters.',
    });
  }
  return value;
}

function encode(segment: string, what: string): string {
  if (segment === '.' || segment === '..') throw invalid(what, `has a "${segment}" part`);
  if (CONTROL.test(segment)) throw invalid(what, 'contains a control character');
  try {
    // Vault's own names contain these characters unencoded; encoding would only make audit logs unreadable.
    return encodeURIComponent(segment).replace(/%(40|3A|2B|2C|3D)/g, (code) => decodeURIComponent(code));
  } catch {
    throw invalid(what, 'is not well-formed Unicode');
  }
}

function assertLength(path: string, what: string): string {
  if (path.length > LONGEST) throw invalid(what, `is longer than ${LONGEST} characters`);
  return path;
}

function invalid(what: string, problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_PATH_INVALID',
    message: `The ${what} ${problem}.`,
    hint:
      `Give a plain ${what} as Vault itself lists it. If it is made from variables, check for an empty one; give query ` +
      'parameters in the options.',
  });
}
