import { barePath, encodeMount, encodePath } from '../../client/path.js';
import { VaultError } from '../../errors/vault-error.js';
import type { KvCall } from './kv-calls.js';
import { isKvVersion, type KvOptions } from './kv-options.js';

/** A secret or a folder of a KV mount, whose path is checked. */
export interface KvTarget {
  readonly mount: string;
  readonly path: string;
  readonly kvVersion: 1 | 2;
  /** The path with its mount, encoded. */
  readonly full: string;
  /** The encoded API path of a part of the engine. */
  readonly at: (part: KvCall['part']) => string;
  /** The same with `{path}` in place of the name of the secret, for diagnostics. */
  readonly templateAt: (part: KvCall['part']) => string;
}

/**
 * The secret at a path. A slash at its start or end is refused: servers read it as another path, and not alike.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function secretAt(path: string, options: KvOptions, kvVersion: 1 | 2): KvTarget {
  return targetAt(path, options, kvVersion, encodePath);
}

/**
 * The folder at a path, which may end in "/", as servers list it. `/` is the root of the mount; an empty path is refused.
 *
 * @throws VaultError `VAULT_PATH_INVALID`
 */
export function folderAt(path: string, options: KvOptions, kvVersion: 1 | 2): KvTarget {
  return targetAt(path, options, kvVersion, (folder, what) =>
    folder === '/' ? '' : encodePath(folder.endsWith('/') ? folder.slice(0, -1) : folder, what),
  );
}

/** The secret of a folder. */
export function entryOf(folder: KvTarget, name: string): KvTarget {
  const { mount, kvVersion } = folder;
  const path = folder.path === '/' ? name : `${barePath(folder.path)}/${name}`;
  return secretAt(path, { mount }, kvVersion);
}

function targetAt(
  path: string,
  { mount = 'secret', kvVersion: own }: KvOptions,
  kvVersion: 1 | 2,
  encode: (path: string, what: string) => string,
): KvTarget {
  const base = encodeMount(mount);
  assertRelative(path, barePath(mount));
  const key = typeof path === 'string' ? encode(path, 'path') : encodePath(path, 'path');
  const version = own ?? kvVersion;
  if (!isKvVersion(version)) {
    throw new VaultError({
      code: 'VAULT_REQUEST_INVALID',
      message: 'A KV mount has version 1 or 2; no request was sent.',
      hint: 'Correct `kvVersion`, or leave it out for that of the connection.',
      path,
    });
  }
  const join = (...parts: string[]) => parts.filter((part) => part !== '').join('/');
  return {
    mount: barePath(mount),
    path,
    kvVersion: version,
    full: join(base, key),
    at: (part) => (version === 1 ? join(base, key) : join(base, part, key)),
    templateAt: (part) => (version === 1 ? join(base, '{path}') : join(base, part, '{path}')),
  };
}

function assertRelative(path: string, mount: string): void {
  const bare = barePath(path);
  const prefix = ['data/', 'metadata/'].find((part) => bare?.startsWith?.(`${mount}/${part}`));
  if (prefix === undefined) return;
  throw new VaultError({
    code: 'VAULT_PATH_INVALID',
    message: `The path of a KV secret is relative to its mount, and "${path}" is not.`,
    hint: `Use "${bare.slice(mount.length + 1 + prefix.length)}" with mount "${mount}"; "${prefix}" is added for KV v2.`,
    path,
  });
}

/**
 * Refuses a call that only version 2 has.
 *
 * @param what the method or the option, as the application has written it
 */
export function requireVersion2({ kvVersion, mount, path }: KvTarget, what: string): void {
  if (kvVersion === 2) return;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `KV version 1 has no \`${what}\`; no request was sent.`,
    hint:
      `Upgrade the mount to version 2 (vault kv enable-versioning ${mount}) and set \`kvVersion: 2\`. Version 1 has ` +
      '`read`, `list`, `write`, `delete`, `watch` and `watchFolder`.',
    path,
  });
}
