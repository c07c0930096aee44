import fc from 'fast-check';

/** A fault, and the requests that it affects. */
export type Trouble =
  | { kind: 'cut' | 'drop' }
  | { kind: 'answer'; status: number; body: string }
  | { kind: 'delay'; milliseconds: number; before: boolean }
  | { kind: 'seal' | 'standby' | 'database' };

/** Seconds. */
export interface Ttls {
  ttl: number;
  maxTtl: number;
}

/** One event; times in milliseconds, paths by number. */
export type Step =
  | { do: 'pass'; for: number }
  | { do: 'trouble'; trouble: Trouble; which: Which; for: number }
  | { do: 'heal' }
  | { do: 'revoke-leases'; path: number }
  | { do: 'revoke-lease'; index: number }
  | { do: 'revoke-token' }
  | { do: 'lose-tokens' }
  | { do: 'change-role'; path: number; ttls: Ttls }
  | { do: 'change-login'; ttls: Ttls }
  | { do: 'step-wall'; by: number }
  | { do: 'stall' | 'suspend'; for: number }
  | { do: 'subscribe'; path: number; keepTrying: boolean }
  | { do: 'unsubscribe'; index: number }
  | { do: 'get'; path: number }
  | { do: 'hold'; path: number }
  | { do: 'let-go'; index: number }
  | { do: 'release'; path: number };

export type Which = keyof typeof MATCHES;

/** All inputs of a run. */
export interface Schedule {
  /** Seed of the library's random numbers. */
  seed: number;
  dialect: 'openbao' | 'vault';
  roles: Ttls[];
  login: Ttls & { period: number; uses: number; type: 'service' | 'batch' };
  revoke: boolean;
  grace: number;
  concurrency: number;
  /** Whether `current` is called without a lease, too: the call may notice an end before a timer does. */
  asks: boolean;
  /** Whether machines suspend; then wall clock steps go forwards only: steps back would look like no sleep. */
  sleepy: boolean;
  steps: Step[];
  /** Whether faults may last beyond the close. */
  healsBeforeClose: boolean;
}

export const MATCHES = {
  all: /./,
  issue: /\/creds\//,
  renew: /\/sys\/leases\/renew$/,
  token: /\/auth\/token\//,
  login: /\/login$/,
} as const;

/** From `min` to `max`, each magnitude equally likely; shrinks to `min`. */
const magnitude = (min: number, max: number) =>
  fc.integer({ min: 0, max: 1_000 }).map((x) => Math.round(min * (max / min) ** (x / 1_000)));

const BODIES: readonly (readonly [number, string])[] = [
  [400, '{"errors":["failed to renew entry: dial tcp: connect: connection refused"]}'],
  [400, '{"errors":["something else"]}'],
  [403, '{"errors":["permission denied"]}'],
  [403, '{"errors":["1 error occurred:\\n\\t* permission denied\\n\\n"]}'],
  [404, '{"errors":[]}'],
  [412, '{"errors":["required index state not present"]}'],
  [429, '{"errors":["request path \\"x\\": rate limit quota exceeded"]}'],
  [500, '{"errors":["internal error"]}'],
  [500, '{"errors":["local node not active but active cluster node not found"]}'],
  [503, '{"errors":["Vault is sealed"]}'],
  [502, '<html>bad gateway</html>'],
  [200, '<html>welcome</html>'],
  [200, '{}'],
  [200, '{"data":null,"auth":null,"lease_duration":0}'],
  [204, ''],
];

const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  fc.constantFrom<Trouble>({ kind: 'cut' }, { kind: 'drop' }, { kind: 'seal' }),
  fc.constantFrom<Trouble>({ kind: 'standby' }, { kind: 'database' }),
  fc.constantFrom(...BODIES).map(([status, body]): Trouble => ({ kind: 'answer', status, body })),
  fc.record({
    kind: fc.constant('delay' as const),
    milliseconds: magnitude(5, 15_000),
    before: fc.boolean(),
  }),
);

const ttls = (shortest: number, longest: number) =>
  fc
    .tuple(magnitude(shortest, longest), magnitude(1, 20))
    .map(([ttl, times]): Ttls => ({ ttl, maxTtl: ttl * times }));
const roleTtls = ttls(2, 3_600);
const loginTtls = ttls(5, 7_200);

const path = fc.nat({ max: 3 });
const index = fc.nat({ max: 20 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), for: magnitude(10, 1_200_000) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('trouble' as const),
      trouble,
      which: fc.constantFrom<Which>('all', 'issue', 'renew', 'token', 'login'),
      for: magnitude(10, 600_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('subscribe' as const), path, keepTrying: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant<Step>({ do: 'heal' }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke-leases' as const), path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke-lease' as const), index }) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ do: 'revoke-token' }, { do: 'lose-tokens' }) },
  {
    weight: 1,
    arbitrary: fc.oneof(
      fc.record({ do: fc.constant('change-role' as const), path, ttls: roleTtls }),
      fc.record({ do: fc.constant('change-login' as const), ttls: loginTtls }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.boolean(), magnitude(100, 7_200_000))
      .map(([back, by]): Step => ({ do: 'step-wall', by: back ? -by : by })),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('stall' as const, 'suspend' as const),
      for: magnitude(100, 3_600_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('get' as const), path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('unsubscribe' as const), index }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('hold' as const), path }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('let-go' as const), index }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), path }) },
);

const login = fc
  .record({
    ttls: loginTtls,
    kind: fc.constantFrom('renewed', 'renewed', 'renewed', 'periodic', 'batch', 'limited'),
    uses: fc.integer({ min: 5, max: 60 }),
  })
  .map(({ ttls, kind, uses }) => ({
    ...ttls,
    period: kind === 'periodic' ? ttls.ttl : 0,
    uses: kind === 'limited' ? uses : 0,
    type: kind === 'batch' ? ('batch' as const) : ('service' as const),
  }));

export const schedules: fc.Arbitrary<Schedule> = fc.record({
  seed: fc.nat({ max: 2 ** 31 - 1 }),
  dialect: fc.constantFrom('openbao', 'vault'),
  roles: fc.array(roleTtls, { minLength: 1, maxLength: 4 }),
  login,
  revoke: fc.boolean(),
  grace: fc.constantFrom(0, 1_000, 30_000),
  concurrency: fc.constantFrom(1, 3, 16),
  asks: fc.boolean(),
  sleepy: fc.boolean(),
  steps: fc.array(step, { minLength: 1, maxLength: 25 }),
  healsBeforeClose: fc.boolean(),
});
