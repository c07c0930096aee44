import type { ApiRequest } from '../client/api.types.js';
import { remaining } from '../clock/deadline.js';
import type { Clock } from '../clock/clock.js';
import type { Lease } from './lease.js';

export const RENEW = 'sys/leases/renew';

/** Seconds that a lease lives on which nobody uses any more: the shortest increment there is. */
export const SHORTEST = 1;

/** Whether a renewal for so many seconds ends a lease sooner than it would end by itself. */
export function isWorthRetiring(lease: Lease<unknown>, clock: Clock, seconds = SHORTEST): boolean {
  // A token that is in use will be renewed, and does not end the lease.
  const superseded = lease.token.supersededAt !== undefined;
  const life = superseded || lease.over ? lease.left(clock) : remaining(lease.grant.deadline, clock);
  return lease.renewable && life > seconds * 1_000 + 1_000;
}

/** The request by which the server ends a lease soon, sent with the token that made it. */
export function retirement({ id }: Lease<unknown>): ApiRequest {
  return { method: 'POST', path: RENEW, body: { lease_id: id, increment: SHORTEST }, lane: 'vital' };
}
