import type { Grant } from './grant.js';

/** Milliseconds for the new one to be put in place, for what the server rounds away, and before the very end. */
const MARGIN = 2_000;
/** Nothing is replaced before this share of its life, however long consumers need. */
const SHARE = 0.5;
/** However short the TTL of the role, what was extended is not renewed before. */
const MIN_RENEWAL = 1_000;

type Renewal = Readonly<{ at: number; jitter: number }>;

/** A lease or a token, and what consumers need of it. Times in milliseconds. */
export interface DrainView extends Pick<Grant, 'ttl' | 'maxTtl'> {
  /** Granted at the issue or the login. */
  firstTtl: number;
  /** Since the issue or the login. */
  age: number;
  /** Left of the TTL. */
  left: number;
  renewable: boolean;
  /** What consumers need to let go of a lease, once a newer one has taken over. */
  drain: number;
}

/** Renewed as usual, it leaves consumers too little time to drain when a newer one takes over. */
export function drainExceedsOverlap(
  { firstTtl, drain }: Pick<DrainView, 'firstTtl' | 'drain'>,
  { at, jitter }: Renewal,
): boolean {
  return drain > 0 && firstTtl < Infinity && drain + MARGIN > firstTtl * (1 - at - jitter);
}

/**
 * Seconds to ask for at a renewal where consumers need long to drain: always enough, so that when no more is granted
 * there is time. Else the server decides.
 */
export function incrementForDrain(view: DrainView, renewal: Renewal): number | undefined {
  return drainExceedsOverlap(view, renewal) ? Math.ceil((view.firstTtl + view.drain) / 1_000) : undefined;
}

/** Milliseconds after which at the latest to renew, so that the time to drain is never cut into. */
export function latestRenewal({ ttl, firstTtl, drain }: DrainView): number {
  const latest = ttl - drain - MARGIN;
  // The first time it may be at once: the server issues without room.
  return ttl > firstTtl ? Math.max(latest, MIN_RENEWAL) : Math.max(latest, 0);
}

/** Milliseconds before its end at which the next one has to be in place. */
export function timeToDrain({ drain }: Pick<DrainView, 'drain'>): number {
  return drain > 0 ? drain + MARGIN : 0;
}

/** The same for one that cannot be extended. */
export function requiredOverlap({ ttl, drain }: Pick<DrainView, 'ttl' | 'drain'>): number {
  return Math.min(timeToDrain({ drain }), ttl * SHARE);
}

/** Milliseconds until a lease that will be extended no further is replaced. */
export function timeUntilReplacement({ age, left }: Pick<DrainView, 'age' | 'left'>): number {
  return Math.max(0, left - (age + left) * SHARE);
}

/** The same for a token, whose leases are issued again before any of them can drain. */
export function timeUntilTokenReplacement({
  age,
  left,
  drain,
}: Pick<DrainView, 'age' | 'left' | 'drain'>): number {
  return Math.max(0, left - Math.min(drain + 2 * MARGIN, (age + left) * SHARE));
}

/**
 * What to tell where consumers need longer than a lease and its token allow, as far as is known. Milliseconds.
 *
 * @param token none where the lease does not die with it
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
    `Consumers may need ${needed / 1_000} s to let go of a lease, but ${whose} TTLs leave them only about ` +
    `${(allowed / 1_000).toFixed(1)} s: what takes longer fails. Raise ${ttls} of the role, or lower the drain window ` +
    'of the pool.';
  return { needed, allowed, warning };
}

function allowedDrain(view: DrainView, renewal: Renewal): number {
  if (!drainExceedsOverlap(view, renewal)) return Infinity;
  const { ttl, age, left, renewable, maxTtl } = view;
  if (!renewable) return ttl * SHARE;
  return maxTtl === 'far' ? Infinity : (age + left) * SHARE;
}
