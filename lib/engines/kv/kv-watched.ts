import { closed } from '../../errors/common-errors.js';
import { printable } from '../../errors/printable.js';
import { VaultError, type VaultErrorCode } from '../../errors/vault-error.js';
import { Secret } from '../../secret/secret.js';
import type { KvRequests, KvSend } from './kv-requests.js';
import { entryOf, type KvTarget } from './kv-target.js';
import type { Watched } from './kv-watch.js';
import { listKv } from './list-kv.js';
import { isDifferent, NewestVersions } from './newest-versions.js';
import { readKv, type KvSecret } from './read-kv.js';

/**
 * The secrets of a folder by their names, without those of folders in it.
 *
 * @publicApi
 */
export type KvFolder<T = Record<string, unknown>> = ReadonlyMap<string, KvSecret<T>>;

/** The place of a secret or a folder, and the ways to ask for it. */
export interface KvSource {
  readonly target: KvTarget;
  readonly requests: KvRequests;
  /** Runs a job as soon as less than `concurrency` others run. */
  readonly limited: <R>(job: () => Promise<R>) => Promise<R>;
  readonly concurrency: number;
  readonly warn: (message: string) => void;
}

type WatchedOf<V> = Watched<V> & Pick<KvTarget, 'kvVersion'>;

/**
 * A secret that is watched.
 *
 * @param known the secret as it was read just now
 */
export function watchedSecret<T>(source: KvSource, known?: KvSecret<T>): WatchedOf<KvSecret<T>> {
  const { target, requests } = source;
  const first = known && copy(known);
  const newest = new NewestVersions<T>(first);
  return {
    path: target.full,
    kvVersion: target.kvVersion,
    ...(first && { known: first }),
    read: async (isOver) =>
      newest.ofSecret(await inTurn(source, isOver, () => readKv<T>(requests.once, target))),
    isDifferent,
    copy,
    versionOf: ({ version }) => version,
  };
}

/** A folder that is watched. A round is one request for the list, and one for each secret in it. */
export function watchedFolder<T>(source: KvSource): WatchedOf<KvFolder<T>> {
  const { target } = source;
  const newest = new NewestVersions<T>();
  return {
    path: `${target.full}/`,
    kvVersion: target.kvVersion,
    read: async (isOver) => newest.ofFolder(await readFolder<T>(source, isOver)),
    isDifferent: (one, other) =>
      one.size !== other.size ||
      [...one].some(([name, secret]) => {
        const same = other.get(name);
        return same === undefined || isDifferent(secret, same);
      }),
    copy: (folder) => new Map([...folder].map(([name, secret]) => [name, copy(secret)])),
    versionOf: () => undefined,
  };
}

/** Codes of a secret that is listed, but has no current data. */
const ABSENT: ReadonlySet<VaultErrorCode> = new Set<VaultErrorCode>([
  'VAULT_SECRET_NOT_FOUND',
  'VAULT_SECRET_DELETED',
  'VAULT_SECRET_DESTROYED',
]);

/** Asks for at most `concurrency` secrets at a time, so that other watches of the mount get their turn in between. */
async function readFolder<T>(source: KvSource, isOver: () => boolean): Promise<Map<string, KvSecret<T>>> {
  const { target: folder, requests, concurrency } = source;
  const names = await inTurn(source, isOver, () => listKv(requests.once, folder));
  const entries = names.filter((name) => !name.endsWith('/')).flatMap((name) => entryIn(source, name));
  let failed = false;
  // After a failure the reads that are left would be in vain.
  const ends = () => failed || isOver();
  const secrets = new Map<string, KvSecret<T> | undefined>(entries.map(([name]) => [name, undefined]));
  const left = entries.values();
  const readLeft = async () => {
    for (const [name, target] of left) {
      try {
        const read = () => readEntry<T>(repeated(requests, ends), target);
        secrets.set(name, await inTurn(source, ends, read));
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrency, entries.length) }, readLeft));
  return new Map([...secrets].filter((entry): entry is [string, KvSecret<T>] => entry[1] !== undefined));
}

/** The secret that a listed name stands for; none if the name is no path, as nothing can be asked at it. */
function entryIn({ target: folder, warn }: KvSource, name: string): [string, KvTarget][] {
  try {
    return [[name, entryOf(folder, name)]];
  } catch (error) {
    if (!(error instanceof VaultError) || error.code !== 'VAULT_PATH_INVALID') throw error;
    warn(
      `the secret "${printable(name, 100)}" of the folder ${folder.full}/ is left out: its name is no valid path`,
    );
    return [];
  }
}

/** Runs a job in its turn, unless its result is not needed any more. */
function inTurn<R>({ limited, target }: KvSource, isOver: () => boolean, job: () => Promise<R>): Promise<R> {
  return limited(async () => {
    if (isOver()) throw closed(target.full);
    return job();
  });
}

/**
 * Repeats a request that a rate limit has refused, for the `timeout` of the connection: a folder may have more secrets
 * than the limit allows at once.
 */
function repeated(requests: KvRequests, isOver: () => boolean): KvSend {
  return (call, target, parameters) =>
    requests.retry(
      call,
      target,
      async () => {
        if (isOver()) throw closed(target.full);
        return requests.once(call, target, parameters);
      },
      ({ code }) => code === 'VAULT_RATE_LIMITED' && !isOver(),
    );
}

async function readEntry<T>(send: KvSend, target: KvTarget): Promise<KvSecret<T> | undefined> {
  try {
    return await readKv<T>(send, target);
  } catch (error) {
    if (error instanceof VaultError && ABSENT.has(error.code)) return undefined;
    throw error;
  }
}

/** A copy for one subscriber, which no other one shares. */
function copy<T>({ data, version, createdAt, metadata }: KvSecret<T>): KvSecret<T> {
  return {
    data: new Secret(structuredClone(data.reveal())),
    ...(version !== undefined && { version }),
    ...(createdAt && { createdAt: new Date(createdAt) }),
    ...(metadata && { metadata: { ...metadata } }),
  };
}
