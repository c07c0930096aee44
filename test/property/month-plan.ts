import { dice } from './dice.js';
import type { Step, Trouble, Which } from './schedule.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const DAYS = 30;

/** The kind of machine that runs for the month. */
export interface Character {
  name: string;
  seed: number;
  dialect: 'openbao' | 'vault';
  /** TTL of its tokens, in seconds; 0 means the server's default: 32 days. */
  tokens: { ttl: number; maxTtl: number };
  /** The first day on which a token may be lost, so that leases can grow old before. */
  tokensLostFrom: number;
  /** Whether it suspends. Its wall clock is then never set back: a machine with both cannot know how long it slept. */
  sleeps: boolean;
}

/** An event with its time, in milliseconds from the start. */
export interface Happening {
  at: number;
  step: Step;
}

/** Seconds. */
export interface Role {
  ttl: number;
  maxTtl: number;
}

/** The last day of each five has no events, so that its checks see a quiet system. */
export function isQuiet(day: number): boolean {
  return day % 5 === 4;
}

/** A fault ends before the next quiet day. */
const quietAfter = (day: number) => (5 * Math.floor(day / 5) + 4) * DAY - HOUR;

/**
 * On two days one fault lasts long. A laptop is suspended. For the server no lease can be issued from before its token
 * nears the max TTL: the issue of a lease with a TTL of days then fails every half minute.
 */
const WEEKEND = { from: 20, to: 22 };
const CLOSED_LID: Happening = { at: 20 * DAY, step: { do: 'suspend', for: 2 * DAY } };
/** The login whose token nears its max TTL at a known time: 2.4 to 2.9 days later. */
const NEW_TOKEN: Happening = { at: 18.5 * DAY, step: { do: 'lose-tokens' } };
const NOTHING_ISSUED: Happening = {
  at: 20.875 * DAY,
  step: {
    do: 'trouble',
    trouble: { kind: 'answer', status: 500, body: '{"errors":["internal error"]}' },
    which: 'issue',
    for: 15 * HOUR,
  },
};

/** Shortly before the long fault ends, after most of the failed attempts. */
export const IN_TROUBLE = NOTHING_ISSUED.at + 14 * HOUR;
/** Times of the full checks: the end of each day, and the time above. */
export const LOOKS: readonly number[] = [
  ...Array.from({ length: DAYS }, (_, day) => (day + 1) * DAY),
  IN_TROUBLE,
].sort((a, b) => a - b);

const ANSWERS = (
  [
    [400, '{"errors":["failed to renew entry: dial tcp: connect: connection refused"]}'],
    [404, '{"errors":[]}'],
    [412, '{"errors":["required index state not present"]}'],
    [429, '{"errors":["request path \\"x\\": rate limit quota exceeded"]}'],
    [500, '{"errors":["internal error"]}'],
    [502, '<html>bad gateway</html>'],
    [503, '{"errors":["Vault is sealed"]}'],
    [200, '<html>welcome</html>'],
    [200, '{}'],
    [204, ''],
    // These two make a valid token look invalid.
    [403, '{"errors":["permission denied"]}'],
    [403, '{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}'],
  ] as const
).map(([status, body]): Trouble => ({ kind: 'answer', status, body }));
const HARMLESS = ANSWERS.slice(0, -2);
const WHICH: readonly Which[] = ['all', 'all', 'issue', 'renew', 'token', 'login'];

/** TTLs from five minutes to 32 days, half of them above a day; the server's limit is 32 days. */
export function rolesOf(count: number, random: () => number): Role[] {
  const [shortest, longest] = [300, 32 * 86_400];
  return Array.from({ length: count }, (_, number) => {
    const ttl = Math.round(shortest * (longest / shortest) ** ((number / (count - 1)) ** 0.6));
    return { ttl, maxTtl: Math.min(longest, Math.round(ttl * (1 + 19 * random()))) };
  });
}

/** All events of a machine and its server within the month, in order of time. */
export function planOf({ seed, sleeps, tokensLostFrom }: Character): Happening[] {
  const random = dice(seed);
  const magnitude = (min: number, max: number) => Math.round(min * (max / min) ** random());
  const index = () => Math.floor(random() * 1_000);
  const one = <T>(values: readonly T[]) => values[index() % values.length] as T;

  const troubles = (tokensLost: boolean): (() => Trouble)[] => [
    () => ({ kind: one(['cut', 'cut', 'drop', 'seal', 'standby', 'database'] as const) }),
    () => one(tokensLost ? ANSWERS : HARMLESS),
    () => ({ kind: 'delay', milliseconds: magnitude(5, 15 * SECOND), before: random() < 0.5 }),
  ];
  const operators = (tokensLost: boolean): (() => Step)[] => [
    () => ({ do: 'revoke-lease', index: index() }),
    () => ({ do: 'revoke-lease', index: index() }),
    () => ({ do: 'revoke-leases', path: index() }),
    () =>
      tokensLost ? { do: one(['revoke-token', 'lose-tokens']) } : { do: 'revoke-lease', index: index() },
  ];
  const clocks: (() => Step)[] = [
    () => ({ do: 'stall', for: magnitude(100, 10 * MINUTE) }),
    () => ({ do: 'step-wall', by: magnitude(100, 2 * HOUR) }),
    () =>
      sleeps
        ? { do: 'suspend', for: magnitude(MINUTE, 10 * HOUR) }
        : { do: 'step-wall', by: -magnitude(100, 2 * HOUR) },
  ];

  const happenings = sleeps ? [CLOSED_LID] : [NEW_TOKEN, NOTHING_ISSUED];
  const during = (day: number, times: number, step: (at: number) => Step) => {
    for (let left = times; left > random(); left--) {
      const at = Math.round((day + random()) * DAY);
      happenings.push({ at, step: step(at) });
    }
  };
  for (let day = 0; day < DAYS; day++) {
    if (isQuiet(day) || (day >= WEEKEND.from && day < WEEKEND.to)) continue;
    const tokensLost = day >= tokensLostFrom;
    during(day, 3, (at) => {
      const trouble = one(troubles(tokensLost))();
      // Each lost answer leaves a user that the client does not know of.
      const longest = trouble.kind === 'drop' ? 10 * MINUTE : 6 * HOUR;
      const left = Math.max(0, quietAfter(day) - at);
      return {
        do: 'trouble',
        trouble,
        which: one(WHICH),
        for: Math.min(magnitude(SECOND, longest), left),
      };
    });
    during(day, 1, () => one(operators(tokensLost))());
    during(day, 1.5, () => one(clocks)());
  }
  return happenings.sort((a, b) => a.at - b.at);
}
