import { isObject } from '../../client/answer-members.js';
import { isVersion } from '../../client/answer.js';
import { malformed } from '../../errors/common-errors.js';
import { VaultError } from '../../errors/vault-error.js';
import { Secret } from '../../secret/secret.js';
import { readVersion } from './kv-answers.js';
import { KV_CALLS } from './kv-calls.js';
import type { KvAnswer, KvSend } from './kv-requests.js';
import type { KvTarget } from './kv-target.js';

/**
 * A KV secret. Only KV v2 has the members beside `data`.
 *
 * @publicApi
 */
export interface KvSecret<T = Record<string, unknown>> {
  data: Secret<T>;
  version?: number;
  createdAt?: Date;
  /** The custom metadata of the secret. */
  metadata?: Readonly<Record<string, string>>;
}

/** Reads one KV secret of either version. */
export async function readKv<T>(send: KvSend, target: KvTarget, version?: number): Promise<KvSecret<T>> {
  assertPinned(target, version);
  const full = target.at('data');
  const response = await named(send(KV_CALLS.read, target, { query: { version } }), target, full, version);
  const answer = response.data.reveal();
  if (!isObject(answer)) throw malformed(full);
  if (target.kvVersion === 2) return version2<T>(answer, target.mount, full);
  // KV v1 sends a lease_duration with every secret, unless the secret itself has a `ttl` or `lease`.
  const lasts = response.leaseDuration > 0 || 'ttl' in answer || 'lease' in answer;
  if (!lasts) throw malformed(full);
  return { data: response.data as Secret<T> };
}

/** Sends past caches, whose answers may be older than the current version. */
export function uncached(send: KvSend): KvSend {
  return (call, target, parameters) => send(call, target, { ...parameters, uncached: true });
}

/** The latest version of a secret, and its number; 0 if no version was written. A deleted version has no data. */
export async function latestKv<T>(
  send: KvSend,
  target: KvTarget,
): Promise<{ secret?: KvSecret<T>; version: number }> {
  try {
    const secret = await readKv<T>(uncached(send), target);
    return { secret, version: secret.version ?? 0 };
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    // Only the server's own answer shows that there is none.
    if (error.code === 'VAULT_SECRET_NOT_FOUND' && error.status === 404) return { version: 0 };
    if (error.version === undefined) throw error;
    return { version: error.version };
  }
}

/** @throws VaultError `VAULT_PATH_INVALID` for a version that cannot be pinned */
export function assertPinned({ kvVersion, path }: KvTarget, version: number | undefined): void {
  if (version === undefined || (kvVersion === 2 && isVersion(version))) return;
  throw new VaultError({
    code: 'VAULT_PATH_INVALID',
    message:
      kvVersion === 1
        ? 'KV version 1 has no versions to pin.'
        : 'A pinned version must be a whole number from 1.',
    hint: 'Correct `version`, or leave it out for the latest one.',
    path,
  });
}

/** Names the pinned version in the error if there is no such version. */
export async function named(
  answer: Promise<KvAnswer>,
  { mount, path }: KvTarget,
  full: string,
  version: number | undefined,
): Promise<KvAnswer> {
  try {
    return await answer;
  } catch (error) {
    throw version !== undefined && error instanceof VaultError && error.code === 'VAULT_SECRET_NOT_FOUND'
      ? new VaultError({
          code: error.code,
          message: `There is no version ${version} of ${mount}/${path}.`,
          hint: `Choose an existing version: vault kv metadata get -mount=${mount} ${path} lists them.`,
          status: 404,
          path: full,
        })
      : error;
  }
}

function version2<T>(
  { data, metadata }: Readonly<Record<string, unknown>>,
  mount: string,
  path: string,
): KvSecret<T> {
  if (metadata === undefined) {
    throw new VaultError({
      code: 'VAULT_SECRET_NOT_FOUND',
      message: `The mount "${mount}" is not KV version 2.`,
      hint: 'Set `kvVersion: 1` for this connection, or name a mount of version 2.',
      path,
    });
  }
  const version = readVersion(metadata);
  if (!isObject(data) || !version) throw malformed(path);
  return { data: new Secret(data as T), ...version };
}
