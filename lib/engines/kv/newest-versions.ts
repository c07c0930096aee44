import { comparableJson } from '../../secret/fingerprint.js';
import type { KvSecret } from './read-kv.js';

interface Entry<T> {
  readonly used: KvSecret<T>;
  /** An older version that the last read has answered. */
  readonly older?: KvSecret<T>;
}

const ALONE = '';

/**
 * Keeps watched secrets from going back to an older version, which a server answers that lags behind. Two reads in a row
 * that answer it show that it counts: a snapshot was restored.
 */
export class NewestVersions<T> {
  #entries = new Map<string, Entry<T>>();

  /** @param known the secret, if there is one only and it was read already */
  constructor(known?: KvSecret<T>) {
    if (known) this.#entries.set(ALONE, { used: known });
  }

  ofSecret(read: KvSecret<T>): KvSecret<T> {
    return this.ofFolder(new Map([[ALONE, read]])).get(ALONE) ?? read;
  }

  ofFolder(read: ReadonlyMap<string, KvSecret<T>>): Map<string, KvSecret<T>> {
    this.#entries = new Map([...read].map(([name, secret]) => [name, next(this.#entries.get(name), secret)]));
    return new Map([...this.#entries].map(([name, { used }]) => [name, used]));
  }
}

function next<T>(last: Entry<T> | undefined, read: KvSecret<T>): Entry<T> {
  const waits = last && isOlder(read, last.used) && !(last.older && !isDifferent(read, last.older));
  return waits ? { used: last.used, older: read } : { used: read };
}

/** Not a secret that was deleted with its metadata and created again: its version is lower, but its time later. */
function isOlder(one: KvSecret<unknown>, other: KvSecret<unknown>): boolean {
  if (one.version === undefined || other.version === undefined) return false;
  return one.version <= other.version && Number(one.createdAt) < Number(other.createdAt);
}

/** Versions start again where the metadata was deleted, so the time counts too; KV v1 has only the data. */
export function isDifferent(a: KvSecret<unknown>, b: KvSecret<unknown>): boolean {
  if (a.version !== undefined) {
    return a.version !== b.version || a.createdAt?.getTime() !== b.createdAt?.getTime();
  }
  return comparableJson(a.data.reveal()) !== comparableJson(b.data.reveal());
}
