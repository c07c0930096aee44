import { VaultError } from '../errors/vault-error.js';

// Control characters split requests or vanish in logs; they are in no legitimate name.
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Needs no encoding and can lead nowhere else: nearly all names there are. */
const PLAIN = /^[\w-]+(?:\/[\w-]+)*$/;

/** Characters of an encoded path. Servers and the proxies before them accept lines of 8 KB or more. */
const LONGEST = 4_096;

/**
 * Encodes one name (a role, a key) as one path segment, so that nothing in it can lead elsewhere.
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
 * A slash at the start or the end is refused, not dropped: it stands where a name was empty, and what is left would be
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
 * The same for a full API path, where `?` or `#` can only be a mistake.
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

/** The same for the path of a LIST, which may end in "/": servers name folders so, and add it where it is missing. */
export function encodeFolder(path: string): string {
  return encodeApiPath(typeof path === 'string' && path.endsWith('/') ? path.slice(0, -1) : path);
}

/**
 * The path at which something is mounted, without the slash that `vault secrets list` and `vault namespace list` show at
 * its end, and without one at its start.
 */
export function barePath(mount: string): string {
  if (typeof mount !== 'string') return mount;
  return mount.slice(mount.startsWith('/') ? 1 : 0, mount.length > 1 && mount.endsWith('/') ? -1 : undefined);
}

/** Encodes the path of a mount; one slash at each end is dropped, see {@link barePath}. */
export function encodeMount(mount: string, what = 'mount'): string {
  return encodePath(barePath(mount), what);
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

function assertLength(path: string, what: string): string {
  if (path.length > LONGEST) throw invalid(what, `is longer than ${LONGEST} characters`);
  return path;
}

function invalid(what: string, problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_PATH_INVALID',
    message: `The ${what} ${problem}.`,
    hint:
      `Give a plain ${what} such as Vault itself lists it. Where it is put together from variables, look for one that ` +
      'is empty; query parameters go in the options.',
  });
}
