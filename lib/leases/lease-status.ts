import type { RetryState } from '../retry/retry-state.js';
import type { Clock } from '../clock/clock.js';
import type { EndingLease, LeaseStatus } from '../events/status.js';
import { drainTooLong } from '../lifetime/drain-policy.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import type { LeaseStep } from './lease-policy.js';

/** The next step if nothing was issued yet. */
export const FIRST = { action: 'rotate', in: 0, reason: 'first' } as const;

/** Shared, as there may be ten thousand paths. */
const NONE: readonly EndingLease[] = [];

/** The state of one path. Times in milliseconds. */
interface PathState {
  lease: Lease<unknown> | undefined;
  step: LeaseStep | typeof FIRST;
  /** The path was released. */
  ended: boolean;
  tries: RetryState;
  /** Time until the rate limit allows the next issue. */
  limited: number;
  /** Set if consumers need more time to drain than the TTLs allow. */
  drain: { needed: number; allowed: number } | undefined;
  superseded: readonly Lease<unknown>[];
  clock: Clock;
}

/** The public status of one path. */
export function leaseStatus(
  path: string,
  { lease, step, ended, tries, limited, drain, superseded, clock }: PathState,
): LeaseStatus {
  const { error, count } = tries;
  const action = ended ? 'none' : step.action === 'rotate' ? 'issue' : step.action;
  const waits = action === 'issue' && limited > step.in;
  return {
    path,
    state: stateOf(lease, error, clock),
    ...(lease && { serial: lease.serial }),
    ...(lease && lease.grant.ttl < Infinity && { ...endOf(lease), endsBy: endsBy(lease) }),
    next: waits
      ? { action, at: new Date(clock.wall() + limited), reason: 'issue-limit' }
      : tries.next({ ...step, action }),
    attempt: count,
    ...(error && { error }),
    superseded: superseded.length,
    ending: superseded.length > 0 ? superseded.map(endingLease) : NONE,
    ...(drain && { drain: { needed: drain.needed, allowed: drain.allowed } }),
  };
}

/** The warning if consumers need more time to drain a lease than its TTLs and those of its token allow. */
export function drainShortfall(lease: Lease<unknown>, { clock, options }: LeaseContext) {
  if (lease.drain === 0) return undefined;
  // A secret without a lease does not end with its token.
  const token = lease.id === '' ? undefined : lease.token.view(clock);
  return drainTooLong(lease.view(clock), token, options.renewal);
}

function stateOf(lease: PathState['lease'], error: unknown, clock: Clock): LeaseStatus['state'] {
  if (!lease) return 'pending';
  if (lease.left(clock) <= 0) return 'expired';
  return error || lease.rejection?.confirmed ? 'degraded' : 'valid';
}

function endOf(lease: Lease<unknown>): { ttl?: number; validUntil: Date } {
  const { ttl } = lease.grant;
  return { ...(ttl < Infinity && { ttl }), validUntil: lease.validUntil() };
}

function endsBy(lease: Lease<unknown>): LeaseStatus['endsBy'] {
  const { deadline, maxTtl } = lease.grant;
  if (lease.validUntil().getTime() < deadline.wall) return 'token';
  return maxTtl === 'far' ? 'ttl' : 'max-ttl';
}

function endingLease(lease: Lease<unknown>): EndingLease {
  return { serial: lease.serial, ...endOf(lease), held: lease.held };
}
