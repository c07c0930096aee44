import type { Pool } from 'pg';

/** Default of `connectionTimeoutMillis`; that of pg waits without an end, and without an error. */
export const CONNECTION_TIMEOUT = 10_000;

/** Starts a connection with a timeout, even if the config has none. */
export function withConnectionTimeout<T>({ options }: Pool, start: () => T): T {
  const { connectionTimeoutMillis: configured } = options;
  Object.assign(options, { connectionTimeoutMillis: configured || CONNECTION_TIMEOUT });
  try {
    return start();
  } finally {
    Object.assign(options, { connectionTimeoutMillis: configured });
  }
}
