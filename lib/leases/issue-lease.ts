import type { IssueParameters } from '../engines/engine.js';
import type { ApiResponse } from '../client/api.types.js';
import { isObject } from '../client/answer-members.js';
import { remaining } from '../clock/deadline.js';
import { fromCache, malformed } from '../errors/common-errors.js';
import type { VaultTaskMessage } from '../events/channels.js';
import type { VaultToken } from '../session/vault-token.js';
import type { Answer, EngineRules } from '../engines/engine.js';
import type { IssuedCheck } from './issued-check.js';
import { Lease, type LeaseHooks } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { latestStart } from './latest-start.js';
import { late } from './lease-errors.js';

/** Milliseconds; creating a user takes time, and after a time-out the server may have created it in vain. */
const MIN_TIMEOUT = 2_000;

/** Seconds: the default max TTL of servers, for a lease whose answer does not contain its TTL. */
const DEFAULT_MAX_TTL = 2_764_800;

/** The state of a path when it requests its next lease. */
export interface Issuer<T> {
  readonly path: string;
  readonly parameters: IssueParameters | undefined;
  /** The engine that the consumer gave. */
  readonly engine: EngineRules | undefined;
  readonly hooks: LeaseHooks;
  /** The lease to replace. While it lives, the time-out of the request leaves time for another attempt. */
  readonly previous: Lease<T> | undefined;
  readonly check: IssuedCheck;
  /** Serial number of the next lease. */
  readonly serial: number;
  /** Whether this path already has a lease with this id that has not ended. */
  hasLease: (id: string) => boolean;
  /** Called with a lease that no consumer gets, because the rest of its answer is malformed. */
  onUnusable: (lease: Lease<unknown>) => void;
}

/** Issues a lease with a token that lives long enough. A malformed answer is a failed attempt. */
export function issueLease<T>(
  { path, parameters, hooks, previous, ...issuer }: Issuer<T>,
  { session, signal, random, clock, engines, options }: LeaseContext,
  task?: VaultTaskMessage,
): Promise<{ lease: Lease<T>; warnings: readonly string[] }> {
  const take = (response: ApiResponse<T>, token: VaultToken) => {
    const { leaseId, leaseDuration, warnings, wellFormed } = response;
    // A cached answer: the lease would replace itself and then be retired.
    if (leaseId !== '' && issuer.hasLease(leaseId)) throw fromCache(path);
    const data = isObject(response.data) ? response.data : {};
    const answer: Answer = { ...response, data, path, parameters };
    // The engine of a path never changes, whatever an answer looks like.
    const engine = previous?.engine ?? issuer.engine ?? engines.of(answer);
    const usable = data === response.data && wellFormed && issuer.check.accepts(answer, engine, previous);
    const known = usable
      ? answer
      : { ...answer, leaseDuration: leaseDuration || DEFAULT_MAX_TTL, renewable: true };
    if (!usable && leaseId === '') throw malformed(path);
    const longestTtl = options.renewal.ttl;
    const lease = new Lease<T>(
      { serial: issuer.serial, token, engine, answer: known, longestTtl },
      random,
      hooks,
    );
    if (!usable) {
      issuer.onUnusable(lease);
      throw malformed(path);
    }
    if (lease.left(clock) <= 0) {
      session.released(token, lease);
      throw late(path);
    }
    return { lease, warnings };
  };
  const how = parameters ? ({ method: 'POST', body: parameters } as const) : ({ method: 'GET' } as const);
  const capabilities = engines.capabilities(path, parameters, previous?.engine ?? issuer.engine);
  const request = { ...how, path, signal, uncached: true, capabilities, task };
  if (!previous) return session.run(request, take, true);
  // Consumers depend on the path, so this request has priority, also after the lease has expired.
  const left = previous.left(clock);
  const timeout = left > 0 && { timeout: Math.max(left / 2, MIN_TIMEOUT) };
  return session.run({ ...request, ...timeout, lane: 'vital' }, take, true);
}

/** Runs an issue when it has a place. Ten thousand may wait, so all that it needs is made only then. */
export function whenIssuable(
  { path, previous }: Pick<Issuer<unknown>, 'path' | 'previous'>,
  { upkeep, fetches, clock }: LeaseContext,
  issue: () => Promise<void>,
): Promise<void> {
  if (previous) return upkeep.run(issue, latestStart(previous, clock));
  return fetches.run(parentPath(path), issue);
}

/** The key of the limiter, in place of the unknown mount: a hanging engine delays only its own issues. */
function parentPath(path: string): string {
  return path.slice(0, Math.max(path.lastIndexOf('/'), 0));
}

/** The warning if a lease was replaced because its token ends before it; undefined otherwise. */
export function cutShort(lease: Lease<unknown>, { clock }: LeaseContext): string | undefined {
  const lost = remaining(lease.grant.deadline, clock) - lease.token.left(clock);
  if (lost < 1_000) return undefined;
  return (
    `A lease of ${Math.round(lease.grant.ttl / 1_000)} s was replaced ${Math.round(lost / 1_000)} s early, because ` +
    'it ends with its token. Raise token_max_ttl of the role, or lower the TTL of the lease.'
  );
}
