import type { ApiRequest } from '../client/api.types.js';
import { remaining } from '../clock/deadline.js';
import type { Clock } from '../clock/clock.js';
import type { Lease } from './lease.js';

export const RENEW_PATH = 'sys/leases/renew';

/** Seconds: the shortest increment, for a lease that no consumer uses any more. */
export const SHORTEST_INCREMENT = 1;

/** Whether a renewal with an increment of `seconds` ends a lease earlier than its TTL or its token does. */
export function isWorthRetiring(lease: Lease<unknown>, clock: Clock, seconds = SHORTEST_INCREMENT): boolean {
  // The current token will be renewed, so it does not end the lease.
  const superseded = lease.token.supersededAt !== undefined;
  const life = superseded || lease.ended ? lease.left(clock) : remaining(lease.grant.deadline, clock);
  return lease.grant.renewable && life > seconds * 1_000 + 1_000;
}

/** The request that lets the server end a lease soon. It is sent with the token of the lease. */
export function retirement({ id }: Lease<unknown>): ApiRequest {
  return {
    method: 'POST',
    path: RENEW_PATH,
    body: { lease_id: id, increment: SHORTEST_INCREMENT },
    lane: 'vital',
  };
}
