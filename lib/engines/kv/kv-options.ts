/** The option of a connection for KV. */
export interface KvConnectionOptions {
  /** Version of the KV mounts, for calls without a version of their own. @default 2 */
  kvVersion?: 1 | 2;
}

export const KV_DEFAULTS: Required<KvConnectionOptions> = { kvVersion: 2 };

export function isKvVersion(value: unknown): value is 1 | 2 {
  return value === 1 || value === 2;
}

/** Milliseconds; a number that is meant as seconds, or as "never", would cause one request after another. */
export const MIN_INTERVAL = 1_000;

/** What is wrong with an interval between reads; undefined if it can be used, or is left out. */
export function intervalProblem(every: number | undefined): string | undefined {
  return every === undefined || (Number.isFinite(every) && every >= MIN_INTERVAL)
    ? undefined
    : `\`every\` must be a number of milliseconds, ${MIN_INTERVAL} at least`;
}

/**
 * Options of every method of `KvService`.
 *
 * @publicApi
 */
export interface KvOptions {
  /** Mount path of the KV engine, with or without a slash at the end. @default 'secret' */
  mount?: string;
  /** Version of the KV mount. @default `kvVersion` of the connection */
  kvVersion?: 1 | 2;
  /** Name of the connection. @default the connection without a name */
  connection?: string;
}

/**
 * Options for reading a KV secret.
 *
 * @publicApi
 */
export interface KvReadOptions extends KvOptions {
  /** Version to read (KV v2 only). @default the latest version */
  version?: number;
}

/**
 * Options for writing a KV secret.
 *
 * @publicApi
 */
export interface KvWriteOptions extends KvOptions {
  /**
   * Check-and-set (KV v2 only): writes only if this is the current version; 0 if no version was written yet. The number
   * of a deleted version counts. Leave it out to write in any case; `undefined` is refused.
   */
  cas?: number | undefined;
}

/**
 * Options for deleting a KV secret.
 *
 * @publicApi
 */
export interface KvDeleteOptions extends KvOptions {
  /** Versions to delete (KV v2 only); `undefined` is refused. Leave it out for the latest version. */
  versions?: readonly number[];
}

/**
 * Options for reading the keys of a KV secret.
 *
 * @publicApi
 */
export interface KvSubkeysOptions extends KvReadOptions {
  /** Levels of nested objects to read; 0 reads all. @default 0 */
  depth?: number;
}
