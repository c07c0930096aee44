import type { RetryState } from '../retry/retry-state.js';
import type { Times } from '../clock/clock.js';
import type { NextStep } from '../events/next-step.js';
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
  /** The present time. */
  at: Times;
}

/** The public status of one path. */
export function leaseStatus(path: string, state: PathState): LeaseStatus {
  const { drain } = state;
  const { error } = state.tries;
  const status = statusWithoutTrouble(path, state);
  if (error) status.error = error;
  if (drain) status.drain = { needed: drain.needed, allowed: drain.allowed };
  return status;
}

/** Each object is made in one piece: the status of ten thousand paths would take twice as long with spreads. */
function statusWithoutTrouble(path: string, of: PathState): LeaseStatus {
  const { lease } = of;
  const state = stateOf(of);
  const next = nextStep(of);
  const attempt = of.tries.count;
  const superseded = of.superseded.length;
  const ending = superseded > 0 ? of.superseded.map(endingLease) : NONE;
  if (!lease) return { path, state, next, attempt, superseded, ending };
  const { serial, end } = lease;
  const { ttl, maxTtl, deadline } = lease.grant;
  if (ttl === Infinity) return { path, state, serial, next, attempt, superseded, ending };
  const validUntil = new Date(end);
  const endsBy = end < deadline.wall ? 'token' : maxTtl === 'far' ? 'ttl' : 'max-ttl';
  return { path, state, serial, ttl, validUntil, endsBy, next, attempt, superseded, ending };
}

/** The next step of one path. */
export function nextStep({
  step,
  ended,
  tries,
  limited,
  at,
}: Pick<PathState, 'step' | 'ended' | 'tries' | 'limited' | 'at'>): NextStep {
  const action = ended ? 'none' : step.action === 'rotate' ? 'issue' : step.action;
  if (action === 'issue' && limited > step.in)
    return { action, at: new Date(at.wall() + limited), reason: 'issue-limit' };
  return tries.next({ action, in: step.in, reason: step.reason }, at);
}

/** The warning if consumers need more time to drain a lease than its TTLs and those of its token allow. */
export function drainShortfall(lease: Lease<unknown>, { clock, options }: LeaseContext, at: Times = clock) {
  if (lease.drain === 0) return undefined;
  // A secret without a lease does not end with its token.
  const token = lease.id === '' ? undefined : lease.token.view(at);
  return drainTooLong(lease.view(at), token, options.renewal);
}

function stateOf({ lease, tries, at }: PathState): LeaseStatus['state'] {
  if (!lease) return 'pending';
  if (lease.left(at) <= 0) return 'expired';
  return tries.error || lease.rejection?.confirmed ? 'degraded' : 'valid';
}

function endingLease(lease: Lease<unknown>): EndingLease {
  const { ttl } = lease.grant;
  return {
    serial: lease.serial,
    ...(ttl < Infinity && { ttl }),
    validUntil: lease.validUntil(),
    held: lease.held,
  };
}
