import type { ApiResponse } from '../client/api.types.js';
import { fromCache } from '../errors/common-errors.js';
import type { GrantAnswer } from './grant.js';

interface Requests {
  /** Path of the renewal, for errors. */
  path: string;
  /** Throws `VAULT_RESPONSE_INVALID` if the answer belongs to another request. */
  renew: (uncached: boolean) => Promise<ApiResponse>;
  /** Reads the answer of a renewal. 0 seconds: the server has ended the lease or token. */
  read: (response: ApiResponse) => GrantAnswer;
  /** Looks up the time left. */
  lookUp: () => Promise<GrantAnswer>;
  /** Milliseconds; with more time left no renewal is needed. Infinity: always renew. */
  sufficientTime: number;
}

/**
 * Renews once, also through a caching Vault Agent or Proxy. Such a cache repeats the answer of the first renewal, which
 * renews nothing, but it also renews leases by itself. So the lease is looked up, and only with too little time left is
 * it renewed past the cache. Not always past it, because such a cache starts another renewal timer for each renewal
 * that it sees.
 *
 * @throws VaultError `VAULT_RESPONSE_INVALID` if the cache answers nevertheless
 */
export async function renewPastCaches({
  path,
  renew,
  read,
  lookUp,
  sufficientTime,
}: Requests): Promise<GrantAnswer> {
  const first = await renew(false);
  if (!first.cached) return read(first);
  const known = sufficientTime < Infinity ? await lookUp().catch(() => undefined) : undefined;
  if (known && known.seconds * 1_000 > sufficientTime) return known;
  const second = await renew(true);
  if (second.cached) throw fromCache(path);
  return read(second);
}

/** A lease with more than this share of its first TTL left needs no renewal. */
export const SUFFICIENT_SHARE = 0.5;
