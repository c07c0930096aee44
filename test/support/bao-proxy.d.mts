import type { OpenBaoServer } from './servers.mjs';

export interface BaoProxy {
  readonly address: string;
  stop: () => Promise<void>;
}

/** Starts the caching proxy of the server's own binary in front of it. */
export function startBaoProxy(server: OpenBaoServer): Promise<BaoProxy>;
