import type { OpenBaoServer } from './servers.mjs';

export interface BaoProxy {
  readonly address: string;
  /** The address of its Unix socket. */
  readonly unixAddress: string;
  stop: () => Promise<void>;
}

/**
 * Starts the proxy of the server's own binary in front of it, with a cache.
 *
 * @param role instead of the cache, it logs in as this AppRole, and attaches its token to requests that have none
 */
export function startBaoProxy(
  server: OpenBaoServer,
  role?: { roleId: string; secretId: string },
): Promise<BaoProxy>;
