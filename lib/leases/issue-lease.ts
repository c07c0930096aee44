import type { IssueParameters } from './engine.js';
import type { ApiResponse } from '../client/api.types.js';
import { isObject } from '../client/answer-members.js';
import { remaining } from '../clock/deadline.js';
import { fromCache, malformed } from '../errors/common-errors.js';
import type { VaultToken } from '../session/vault-token.js';
import type { Answer } from './engine.js';
import type { IssuedCheck } from './issued-check.js';
import { Lease, type LeaseHooks } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { latestStart } from './latest-start.js';
import { late } from './lease-errors.js';

/** Milliseconds; engines take their time to make a user, and one that is not waited for is made for nothing. */
const MIN_TIMEOUT = 2_000;

/** Seconds that a lease may last whose answer cannot be used: as long as servers let it by default. */
const UNKNOWN = 2_764_800;

/** What a path knows of itself when it asks for the next lease. */
export interface Issuer<T> {
  readonly path: string;
  readonly parameters: IssueParameters | undefined;
  readonly hooks: LeaseHooks;
  /** What is to be replaced: while that lives, a request that hangs leaves time for another. */
  readonly previous: Lease<T> | undefined;
  readonly check: IssuedCheck;
  /** Of the next lease. */
  readonly serial: number;
  /** Whether a lease of this id was issued to this path before, and is not over. */
  holds: (id: string) => boolean;
  /** A lease that nobody will use, as the rest of its answer cannot be used. */
  abandoned: (lease: Lease<unknown>) => void;
}

/** Issues what a path leases, with a token that lasts. An answer that cannot be used is a failed try. */
export function issueLease<T>(
  { path, parameters, hooks, previous, ...issuer }: Issuer<T>,
  { session, upkeep, fetches, signal, random, clock, engineOf }: LeaseContext,
): Promise<{ lease: Lease<T>; warnings: readonly string[] }> {
  const take = (response: ApiResponse<T>, token: VaultToken) => {
    const { leaseId, leaseDuration, warnings, wellFormed } = response;
    // The lease that is in use would be ended when it replaces itself.
    if (leaseId !== '' && issuer.holds(leaseId)) throw fromCache(path);
    const data = isObject(response.data) ? response.data : {};
    const answer: Answer = { ...response, data, path, parameters };
    // A path stays with its engine, whatever an answer looks like.
    const engine = previous?.engine ?? engineOf(answer);
    const usable = data === response.data && wellFormed && issuer.check.accepts(answer, engine, previous);
    const known = usable ? answer : { ...answer, leaseDuration: leaseDuration || UNKNOWN, renewable: true };
    if (!usable && leaseId === '') throw malformed(path);
    const lease = new Lease<T>({ serial: issuer.serial, token, engine, answer: known }, random, hooks);
    if (!usable) {
      issuer.abandoned(lease);
      throw malformed(path);
    }
    if (lease.left(clock) <= 0) {
      session.released(token, lease);
      throw late(path);
    }
    return { lease, warnings };
  };
  const how = parameters ? ({ method: 'POST', body: parameters } as const) : ({ method: 'GET' } as const);
  const request = { ...how, path, signal, uncached: true };
  if (!previous) return fetches.run(above(path), () => session.run(request, take, true));
  // Consumers rely on it, and all the more where it is over.
  const replace = () => {
    const left = previous.left(clock);
    const timeout = left > 0 && { timeout: Math.max(left / 2, MIN_TIMEOUT) };
    return session.run({ ...request, ...timeout, lane: 'vital' }, take, true);
  };
  return upkeep.run(replace, latestStart(previous, clock));
}

/** Engines that hang hold up their own issues alone. The mount is not known; what is above the role will do. */
function above(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** What to warn of where a lease was replaced for its token's end: the life it reports is not what it gets. */
export function cutShort(lease: Lease<unknown>, { clock }: LeaseContext): string | undefined {
  const lost = remaining(lease.grant.deadline, clock) - lease.token.left(clock);
  if (lost < 1_000) return undefined;
  return (
    `A lease of ${Math.round(lease.grant.ttl / 1_000)} s was replaced ${Math.round(lost / 1_000)} s early, as it dies ` +
    'with its token. Raise token_max_ttl of the role, or lower the TTL of the lease.'
  );
}
