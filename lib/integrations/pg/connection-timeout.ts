import type { Pool } from 'pg';

/** Milliseconds that a connection may take where the config does not say: a pool that waits for ever tells nobody. */
export const CONNECTION_TIMEOUT = 10_000;

/** Begins a connection that ends in time, also where the config wants no end to it. */
export function inBoundedTime<T>({ options }: Pool, begin: () => T): T {
  const { connectionTimeoutMillis: wanted } = options;
  Object.assign(options, { connectionTimeoutMillis: wanted || CONNECTION_TIMEOUT });
  try {
    return begin();
  } finally {
    Object.assign(options, { connectionTimeoutMillis: wanted });
  }
}
