import { after, NEVER, type Deadline } from '../clock/deadline.js';

/** Milliseconds. Servers send whole seconds, so the same end may differ by one second between two answers. */
const ROUNDING = 1_000;

/** The TTL that the server granted at an issue, a login or a renewal. Times in milliseconds. */
export interface Grant {
  /** Infinity if the lease or token never ends. */
  readonly ttl: number;
  readonly deadline: Deadline;
  /** `near`: the last renewal granted less than the one before. `reached`: a further renewal did not move the end. */
  readonly maxTtl: 'far' | 'near' | 'reached';
  /** Shorter than the previous grant. */
  readonly shrunk: boolean;
  /** Random, -1 to 1. */
  readonly jitter: number;
}

/** The word with which servers warn of a shortened grant. The grant itself already shows it. */
const CAPPED = /capped/;

/** The other warnings of the server. */
export function otherWarnings(warnings: readonly string[]): readonly string[] {
  return warnings.filter((text) => !CAPPED.test(text));
}

/** The grant of an issue or login. Exactly 0 seconds mean no end; an invalid duration counts as ended. */
export function firstGrant(seconds: number, sentAt: Deadline, random: () => number): Grant {
  const ttl = seconds === 0 ? Infinity : seconds > 0 ? seconds * 1_000 : 0;
  const deadline = ttl === Infinity ? NEVER : after(sentAt, ttl);
  return { ttl, deadline, maxTtl: 'far', shrunk: false, jitter: random() * 2 - 1 };
}

/**
 * The grant of a renewal. A shorter grant has two possible causes: the max TTL is near, or the TTL of the role was
 * lowered. The first one shows by a warning of the server, by an unchanged end, or by a second shorter grant in a row.
 *
 * @param asked the requested increment in seconds; 0 if none
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
