import { VaultError, type VaultErrorCode } from '../../errors/vault-error.js';
import { comparableJson } from '../../secret/fingerprint.js';
import type { KvSend } from './kv-requests.js';
import { entryOf, type KvTarget } from './kv-target.js';
import type { Watched } from './kv-watch.js';
import { listKv } from './list-kv.js';
import { readKv, type KvSecret } from './read-kv.js';

/**
 * The secrets of a folder by their names, without those of folders in it.
 *
 * @publicApi
 */
export type KvFolder<T = Record<string, unknown>> = ReadonlyMap<string, KvSecret<T>>;

/** The place of a secret or a folder, and the way to ask for it. */
export interface KvSource {
  readonly target: KvTarget;
  readonly send: KvSend;
  /** Runs a job as soon as few enough others run. */
  readonly limited: <R>(job: () => Promise<R>) => Promise<R>;
}

/** A secret that is watched. */
export function watchedSecret<T>({
  target,
  send,
  limited,
}: KvSource): Watched<KvSecret<T>> & Pick<KvTarget, 'kvVersion'> {
  return {
    path: target.full,
    kvVersion: target.kvVersion,
    read: () => limited(() => readKv<T>(send, target)),
    isDifferent,
    versionOf: ({ version }) => version,
  };
}

/** A folder that is watched. A round is one request for the list, and one for each secret in it. */
export function watchedFolder<T>(source: KvSource): Watched<KvFolder<T>> & Pick<KvTarget, 'kvVersion'> {
  const { target } = source;
  return {
    path: `${target.full}/`,
    kvVersion: target.kvVersion,
    read: () => readFolder<T>(source),
    isDifferent: (one, other) =>
      one.size !== other.size ||
      [...one].some(([name, secret]) => {
        const same = other.get(name);
        return same === undefined || isDifferent(secret, same);
      }),
    versionOf: () => undefined,
  };
}

/** Codes of a secret that is listed, but has no current data. */
const ABSENT: ReadonlySet<VaultErrorCode> = new Set<VaultErrorCode>([
  'VAULT_SECRET_NOT_FOUND',
  'VAULT_SECRET_DELETED',
  'VAULT_SECRET_DESTROYED',
]);

async function readFolder<T>({ target: folder, send, limited }: KvSource): Promise<KvFolder<T>> {
  const names = (await limited(() => listKv(send, folder))).filter((name) => !name.endsWith('/'));
  let failure: { error: unknown } | undefined;
  const read = async (name: string) => {
    // After a failure the reads that are left would be in vain.
    if (failure) throw failure.error;
    try {
      return await readEntry<T>(send, entryOf(folder, name));
    } catch (error) {
      failure ??= { error };
      throw error;
    }
  };
  const secrets = await Promise.all(names.map((name) => limited(() => read(name))));
  const found = new Map<string, KvSecret<T>>();
  for (const [index, name] of names.entries()) {
    const secret = secrets[index];
    if (secret) found.set(name, secret);
  }
  return found;
}

async function readEntry<T>(send: KvSend, target: KvTarget): Promise<KvSecret<T> | undefined> {
  try {
    return await readKv<T>(send, target);
  } catch (error) {
    if (error instanceof VaultError && ABSENT.has(error.code)) return undefined;
    throw error;
  }
}

/** Versions start again where the metadata was deleted, so the time counts too; KV v1 has only the data. */
function isDifferent(a: KvSecret<unknown>, b: KvSecret<unknown>): boolean {
  if (a.version !== undefined) {
    return a.version !== b.version || a.createdAt?.getTime() !== b.createdAt?.getTime();
  }
  return comparableJson(a.data.reveal()) !== comparableJson(b.data.reveal());
}
