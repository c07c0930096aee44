import { dice } from './dice.js';
import type { Step, Trouble, Which } from './schedule.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
const DAYS = 30;

/** What kind of machine lives through the month. */
export interface Character {
  name: string;
  seed: number;
  dialect: 'openbao' | 'vault';
  /** Of its tokens, in seconds; 0 is what the server has for a default: 32 days. */
  tokens: { ttl: number; maxTtl: number };
  /** Before this day no token is lost, so that something can grow old. */
  tokensLostFrom: number;
  /** It sleeps, and its wall clock is never set back: who does both cannot know how long it slept. */
  sleeps: boolean;
}

/** Something that happens at a time, in milliseconds from the start. */
export interface Happening {
  at: number;
  step: Step;
}

/** Seconds. */
export interface Role {
  ttl: number;
  maxTtl: number;
}

/** The last day of each five is left in peace: what is looked at then is looked at with nothing going on. */
export function isQuiet(day: number): boolean {
  return day % 5 === 4;
}

/** Trouble that begins on a day is over before the next quiet one. */
const quietAfter = (day: number) => (5 * Math.floor(day / 5) + 4) * DAY - HOUR;

/**
 * On two days one thing lasts. A machine that sleeps has its lid closed. For the other one nothing can be issued, from
 * before its token nears the max TTL: a lease that lives for days is then tried in vain every half minute.
 */
const WEEKEND = { from: 20, to: 22 };
const CLOSED_LID: Happening = { at: 20 * DAY, step: { do: 'suspend', for: 2 * DAY } };
/** So that it is known when the next token nears its max TTL: 2.4 to 2.9 days later. */
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

/** Shortly before that ends, when most was tried in vain. */
export const IN_TROUBLE = NOTHING_ISSUED.at + 14 * HOUR;
/** When all is looked at: at the end of each day, and then. */
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
    // These two have a token look dead.
    [403, '{"errors":["permission denied"]}'],
    [403, '{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}'],
  ] as const
).map(([status, body]): Trouble => ({ kind: 'answer', status, body }));
const HARMLESS = ANSWERS.slice(0, -2);
const WHICH: readonly Which[] = ['all', 'all', 'issue', 'renew', 'token', 'login'];

/** From five minutes to 32 days, half of them above a day; none lives longer than the server allows: 32 days. */
export function rolesOf(count: number, random: () => number): Role[] {
  const [shortest, longest] = [300, 32 * 86_400];
  return Array.from({ length: count }, (_, number) => {
    const ttl = Math.round(shortest * (longest / shortest) ** ((number / (count - 1)) ** 0.6));
    return { ttl, maxTtl: Math.min(longest, Math.round(ttl * (1 + 19 * random()))) };
  });
}

/** All that happens to a machine, and to its server, within the month; in the order of time. */
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
      // Each answer that is lost leaves a user that nobody knows of.
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
