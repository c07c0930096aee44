import type { ApiResponse } from '../client/api.types.js';
import type { Deadline } from '../clock/deadline.js';
import { fromCache } from '../errors/common-errors.js';

/** What a lease or token has from now on. */
export interface Renewed {
  /** 0 where the server has ended it. */
  seconds: number;
  renewable: boolean;
  sentAt: Deadline;
  warnings: readonly string[];
}

interface Requests {
  /** Below which the answers are. */
  path: string;
  /** Throws what is no answer to it. */
  renew: (uncached: boolean) => Promise<ApiResponse>;
  /** Reads what a renewal answered. */
  read: (response: ApiResponse) => Renewed;
  /** Asks how long it lives. */
  lookUp: () => Promise<Renewed>;
  /** Milliseconds; one that still lives longer than this need not be renewed. Infinity where no look-up will do. */
  enough: number;
}

/**
 * Renews once, also where a caching Vault Agent or Proxy stands in front of the server. Such a cache answers the second
 * renewal of a lease as it answered the first, and nothing is renewed by that; but it also renews by itself what came
 * through it. So the server is asked how long the lease lives, and where that is not enough, it is renewed past the
 * cache. Not always past it: for each renewal that it sees, such a cache starts another timer that renews.
 *
 * @throws VaultError `VAULT_RESPONSE_INVALID` where a cache answers all the same
 */
export async function renewPastCaches({ path, renew, read, lookUp, enough }: Requests): Promise<Renewed> {
  const first = await renew(false);
  if (!first.cached) return read(first);
  const known = enough < Infinity ? await lookUp().catch(() => undefined) : undefined;
  if (known && known.seconds * 1_000 > enough) return known;
  const second = await renew(true);
  if (second.cached) throw fromCache(path);
  return read(second);
}

/** Of what was granted first, the share above which a lease need not be renewed. */
export const ENOUGH = 0.5;
