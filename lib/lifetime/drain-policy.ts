import type { Grant } from './grant.js';

/** Milliseconds for publishing the new lease, for rounding by the server, and as a reserve before the end. */
const MARGIN = 2_000;
/** A drain time never takes more than this share of a life, so no lease is replaced earlier. */
const MAX_DRAIN_SHARE = 0.5;
/** Milliseconds between two renewals at least, however short the TTL of the role. */
const MIN_RENEWAL = 1_000;

type Renewal = Readonly<{ at: number; jitter: number }>;

/** A lease or a token, with the drain time of its consumers. Times in milliseconds. */
export interface DrainView extends Pick<Grant, 'ttl' | 'maxTtl'> {
  /** TTL granted at the issue or login. */
  firstTtl: number;
  /** Time since the issue or login. */
  age: number;
  /** Time left of the TTL. */
  left: number;
  renewable: boolean;
  /** Time that consumers need to drain a lease after a newer one has superseded it. */
  drain: number;
}

/** Whether the overlap of the usual renewal is shorter than the drain time of the consumers. */
export function drainExceedsOverlap(
  { firstTtl, drain }: Pick<DrainView, 'firstTtl' | 'drain'>,
  { at, jitter }: Renewal,
): boolean {
  return drain > 0 && firstTtl < Infinity && drain + MARGIN > firstTtl * (1 - at - jitter);
}

/**
 * The increment of a renewal in seconds, for consumers with a long drain time. It always leaves that time, so that
 * consumers can drain if no further renewal is granted. Undefined otherwise: the server decides.
 */
export function incrementForDrain(view: DrainView, renewal: Renewal): number | undefined {
  return drainExceedsOverlap(view, renewal) ? Math.ceil((view.firstTtl + view.drain) / 1_000) : undefined;
}

/** Milliseconds after the grant at which the lease is renewed at the latest, so that the drain time always remains. */
export function latestRenewal({ ttl, firstTtl, drain }: DrainView): number {
  const latest = ttl - drain - MARGIN;
  // The first renewal may be due at once: the TTL of an issue does not include the drain time.
  return ttl > firstTtl ? Math.max(latest, MIN_RENEWAL) : Math.max(latest, 0);
}

/** Milliseconds before the end of a lease at which the next one has to be published. */
export function timeToDrain({ drain }: Pick<DrainView, 'drain'>): number {
  return drain > 0 ? drain + MARGIN : 0;
}

/** {@link timeToDrain} of a lease that cannot be renewed. */
export function requiredOverlap({ ttl, drain }: Pick<DrainView, 'ttl' | 'drain'>): number {
  return Math.min(timeToDrain({ drain }), ttl * MAX_DRAIN_SHARE);
}

/** Milliseconds until a lease at its max TTL is replaced. */
export function timeUntilReplacement({ age, left }: Pick<DrainView, 'age' | 'left'>): number {
  return Math.max(0, left - (age + left) * MAX_DRAIN_SHARE);
}

/** {@link timeUntilReplacement} of a token: its leases have to be issued again before consumers can drain them. */
export function timeUntilTokenReplacement({
  age,
  left,
  drain,
}: Pick<DrainView, 'age' | 'left' | 'drain'>): number {
  return Math.max(0, left - Math.min(drain + 2 * MARGIN, (age + left) * MAX_DRAIN_SHARE));
}

/**
 * A warning if consumers need more time to drain than the TTLs of a lease and its token allow, as far as they are
 * known. Times in milliseconds.
 *
 * @param token undefined if the lease does not end with its token
 */
export function drainTooLong(
  lease: DrainView,
  token: DrainView | undefined,
  renewal: Renewal,
): { needed: number; allowed: number; warning: string } | undefined {
  const needed = lease.drain;
  const ofLease = allowedDrain(lease, renewal);
  const ofToken = token ? allowedDrain(token, renewal) : Infinity;
  const allowed = Math.floor(Math.min(ofLease, ofToken));
  if (needed <= allowed) return undefined;
  const [whose, ttls] =
    ofToken < ofLease ? ["its token's", 'token_ttl and token_max_ttl'] : ['its', 'default_ttl and max_ttl'];
  const warning =
    `Consumers may need ${needed / 1_000} s to drain a lease, but ${whose} TTLs allow only about ` +
    `${(allowed / 1_000).toFixed(1)} s; longer work fails. Raise ${ttls} of the role, or lower the drain window of ` +
    'the pool.';
  return { needed, allowed, warning };
}

function allowedDrain(view: DrainView, renewal: Renewal): number {
  if (!drainExceedsOverlap(view, renewal)) return Infinity;
  const { ttl, age, left, renewable, maxTtl } = view;
  if (!renewable) return ttl * MAX_DRAIN_SHARE;
  return maxTtl === 'far' ? Infinity : (age + left) * MAX_DRAIN_SHARE;
}
