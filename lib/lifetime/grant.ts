import { after, NEVER, type Deadline } from '../clock/deadline.js';

/** Durations are whole seconds, so that the same end may look a second apart in two answers. */
const ROUNDING = 1_000;

/** What the server granted a lease or a token, at its issue or its last renewal. Times in milliseconds. */
export interface Grant {
  /** Infinity for what never ends. */
  readonly ttl: number;
  readonly deadline: Deadline;
  /** `near`: granted less than before, and soon nothing; `reached`: another renewal has moved the end no more. */
  readonly maxTtl: 'far' | 'near' | 'reached';
  /** Shorter than the one before. */
  readonly shrunk: boolean;
  /** Random, -1 to 1. */
  readonly jitter: number;
}

/** As servers say that less was granted, which a grant tells by itself. */
const CAPPED = /capped/;

/** What servers warn of besides. */
export function otherWarnings(warnings: readonly string[]): readonly string[] {
  return warnings.filter((text) => !CAPPED.test(text));
}

/** At the issue. `seconds` of exactly 0 never end; what is no duration at all has ended. */
export function firstGrant(seconds: number, sentAt: Deadline, random: () => number): Grant {
  const ttl = seconds === 0 ? Infinity : seconds > 0 ? seconds * 1_000 : 0;
  const deadline = ttl === Infinity ? NEVER : after(sentAt, ttl);
  return { ttl, deadline, maxTtl: 'far', shrunk: false, jitter: random() * 2 - 1 };
}

/**
 * At a renewal. Granted less than before, either it is near its max TTL, or the TTL of its role was lowered: servers warn
 * of the first, an end that stays where it was gives it away, and the second does not happen each time.
 *
 * @param asked seconds, where it was asked for so many
 */
export function renewedGrant(
  before: Grant,
  seconds: number,
  sentAt: Deadline,
  warnings: readonly string[],
  random: () => number,
  asked = 0,
): Grant {
  const grant = firstGrant(seconds, sentAt, random);
  const shrunk = grant.ttl < before.ttl;
  const stays = Math.abs(grant.deadline.monotonic - before.deadline.monotonic) <= ROUNDING;
  const capped =
    seconds < asked || (shrunk && (stays || before.shrunk || warnings.some((text) => CAPPED.test(text))));
  const maxTtl = stays && before.maxTtl === 'near' ? 'reached' : 'near';
  return { ...grant, shrunk, maxTtl: capped ? maxTtl : 'far' };
}
