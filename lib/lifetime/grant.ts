import { after, NEVER, type Deadline } from '../clock/deadline.js';

/** Milliseconds. Servers send whole seconds, so the same end may differ by one second between two answers. */
const ROUNDING = 1_000;

/** All that the server granted at one moment: an issue, a login or a renewal. Times in milliseconds. */
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
  readonly renewable: boolean;
  /** A renewal grants a fixed TTL, whatever is asked for. A token with such a period needs no successor. */
  readonly periodic: boolean;
  /**
   * `alive`: as far as the server has said. `retired`: the server was asked to end it soon. `ended`: the server has
   * ended it, or says so. `refused`: a token that the server rejected soon after its login, like the one before; another
   * node may know it.
   */
  readonly state: 'alive' | 'retired' | 'ended' | 'refused';
}

/** The answer to an issue, a login, a renewal or a look-up. */
export interface GrantAnswer {
  /** Time left. */
  readonly seconds: number;
  readonly renewable: boolean;
  readonly sentAt: Deadline;
  readonly warnings: readonly string[];
}

/** A change of the grant, as the server reported it. */
export type GrantUpdate =
  /** `asked`: the requested increment in seconds, if any. */
  | { kind: 'renewed'; answer: GrantAnswer; asked?: number | undefined; periodic?: boolean }
  /** A renewal with an increment so short that it is the last one. */
  | { kind: 'retired'; answer: GrantAnswer }
  /** The same token or secret was read again. */
  | { kind: 'read-again'; grant: Grant }
  | { kind: 'at-max-ttl' | 'not-renewable' | 'ended' | 'refused' };

/** The word with which servers warn of a shortened grant. The grant itself already shows it. */
const CAPPED = /capped/;

/** The other warnings of the server. */
export function otherWarnings(warnings: readonly string[]): readonly string[] {
  return warnings.filter((text) => !CAPPED.test(text));
}

/** The grant of an issue or login. */
export function firstGrant(
  { seconds, renewable, sentAt }: Omit<GrantAnswer, 'warnings'>,
  random: () => number,
): Grant {
  const { ttl, deadline } = timeOf({ seconds, sentAt });
  return {
    ttl,
    deadline,
    maxTtl: 'far',
    shrunk: false,
    jitter: random() * 2 - 1,
    renewable,
    periodic: false,
    state: 'alive',
  };
}

/** Exactly 0 seconds mean no end; an invalid duration counts as ended. */
function timeOf({
  seconds,
  sentAt,
}: Pick<GrantAnswer, 'seconds' | 'sentAt'>): Pick<Grant, 'ttl' | 'deadline'> {
  const ttl = seconds === 0 ? Infinity : seconds > 0 ? seconds * 1_000 : 0;
  return { ttl, deadline: ttl === Infinity ? NEVER : after(sentAt, ttl) };
}

/** The grant after a report of the server. An end is final, unless the same token is read again. */
export function nextGrant(before: Grant, update: GrantUpdate, random: () => number): Grant {
  const { maxTtl, renewable, periodic, state } = before;
  switch (update.kind) {
    case 'renewed':
      return renewedGrant(before, update, random);
    case 'retired': {
      const grant = firstGrant(update.answer, random);
      return { ...grant, maxTtl, periodic, state: state === 'alive' ? 'retired' : state };
    }
    case 'read-again':
      return { ...update.grant, maxTtl, renewable, periodic };
    case 'at-max-ttl':
      return { ...before, maxTtl: 'reached' };
    case 'not-renewable':
      return { ...before, renewable: false };
    default:
      return { ...before, state: update.kind };
  }
}

/**
 * A shorter grant has two possible causes: the max TTL is near, or the TTL of the role was lowered. The first one shows
 * by a warning of the server, by an unchanged end, or by a second shorter grant in a row.
 */
function renewedGrant(
  before: Grant,
  { answer, asked = 0, periodic = false }: GrantUpdate & { kind: 'renewed' },
  random: () => number,
): Grant {
  const { seconds, renewable, warnings } = answer;
  const { ttl, deadline } = timeOf(answer);
  const isPeriodic = before.periodic || periodic;
  const shrunk = ttl < before.ttl;
  const stays = Math.abs(deadline.monotonic - before.deadline.monotonic) <= ROUNDING;
  const capped =
    (!isPeriodic && seconds < asked) ||
    (shrunk && (stays || before.shrunk || warnings.some((text) => CAPPED.test(text))));
  const ended = stays && before.maxTtl === 'near' ? 'reached' : 'near';
  return {
    ttl,
    deadline,
    maxTtl: capped ? ended : 'far',
    shrunk,
    jitter: random() * 2 - 1,
    renewable,
    periodic: isPeriodic,
    state: before.state,
  };
}
