import { it } from 'vitest';
import { live } from './life.js';
import type { Schedule } from './schedule.js';

/** Schedules that failed once, in their smallest form. */
const BASE: Schedule = {
  seed: 0,
  dialect: 'openbao',
  roles: [{ ttl: 60, maxTtl: 3_600 }],
  login: { ttl: 3_600, maxTtl: 36_000, period: 0, uses: 0, type: 'service' },
  revoke: true,
  grace: 0,
  concurrency: 16,
  asks: false,
  sleepy: false,
  steps: [],
  healsBeforeClose: false,
};

const SLOW = { kind: 'delay', milliseconds: 577, before: true } as const;

it.each<[string, Partial<Schedule>]>([
  [
    'a token with few uses is revoked once none of its leases is in use, and ends them all',
    {
      roles: [
        { ttl: 4, maxTtl: 20 },
        { ttl: 633, maxTtl: 633 },
      ],
      login: { ttl: 6_793, maxTtl: 67_930, period: 0, uses: 5, type: 'service' },
      steps: [
        { do: 'subscribe', path: 1, keepTrying: false },
        { do: 'get', path: 2 },
        { do: 'pass', for: 60_000 },
      ],
    },
  ],
  [
    'a token that lost its last uses in an outage is replaced soon after it, for any TTL',
    {
      seed: 14,
      roles: [
        { ttl: 2, maxTtl: 2 },
        { ttl: 2, maxTtl: 2 },
      ],
      login: { ttl: 5_960, maxTtl: 5_960, period: 0, uses: 11, type: 'service' },
      revoke: false,
      concurrency: 1,
      steps: [
        { do: 'trouble', trouble: { kind: 'cut' }, which: 'all', for: 9_480 },
        { do: 'subscribe', path: 0, keepTrying: false },
        { do: 'get', path: 1 },
        { do: 'pass', for: 9_361 },
        { do: 'pass', for: 38 },
        { do: 'subscribe', path: 0, keepTrying: false },
      ],
      healsBeforeClose: true,
    },
  ],
  [
    'a renewal that is granted nothing ends the lease',
    {
      seed: 7,
      roles: [{ ttl: 3, maxTtl: 6 }],
      steps: [
        { do: 'get', path: 0 },
        { do: 'pass', for: 5_000 },
        { do: 'trouble', trouble: SLOW, which: 'issue', for: 5_000 },
        { do: 'pass', for: 2_000 },
      ],
    },
  ],
  [
    'a renewal that is granted nothing ends the token, with all its leases',
    {
      seed: 11,
      roles: [{ ttl: 300, maxTtl: 3_000 }],
      login: { ttl: 3, maxTtl: 6, period: 0, uses: 0, type: 'service' },
      steps: [
        { do: 'get', path: 0 },
        { do: 'pass', for: 5_000 },
        { do: 'trouble', trouble: SLOW, which: 'login', for: 5_000 },
        { do: 'pass', for: 2_000 },
      ],
    },
  ],
  [
    'a lease with a TTL of 0 counts as not issued',
    {
      roles: [{ ttl: 3, maxTtl: 18 }],
      login: { ttl: 8, maxTtl: 48, period: 0, uses: 0, type: 'batch' },
      steps: [
        {
          do: 'trouble',
          trouble: { kind: 'answer', status: 200, body: '{"data":null,"auth":null,"lease_duration":0}' },
          which: 'login',
          for: 8_061,
        },
        { do: 'subscribe', path: 0, keepTrying: false },
        { do: 'pass', for: 7_822 },
      ],
    },
  ],
  [
    'a repeated retirement does not extend the lease',
    {
      roles: [{ ttl: 600, maxTtl: 600 }],
      grace: 30_000,
      steps: [
        { do: 'get', path: 0 },
        { do: 'trouble', trouble: { kind: 'drop' }, which: 'renew', for: 600_000 },
        { do: 'pass', for: 700_000 },
      ],
    },
  ],
  [
    'a failed login is forgotten once the token has been renewed',
    {
      roles: [{ ttl: 18, maxTtl: 144 }],
      login: { ttl: 649, maxTtl: 1_947, period: 0, uses: 0, type: 'service' },
      sleepy: true,
      steps: [
        { do: 'trouble', trouble: { kind: 'delay', milliseconds: 150, before: false }, which: 'all', for: 9 },
        { do: 'step-wall', by: 652_836 },
        {
          do: 'trouble',
          trouble: { kind: 'delay', milliseconds: 12_084, before: false },
          which: 'all',
          for: 5,
        },
        { do: 'stall', for: 19_996 },
        { do: 'get', path: 0 },
        { do: 'stall', for: 160 },
      ],
      healsBeforeClose: true,
    },
  ],
  [
    'a lease with a lowered TTL is still renewed if no new one can be issued',
    {
      roles: [{ ttl: 600, maxTtl: 100_000 }],
      login: { ttl: 90_000, maxTtl: 900_000, period: 0, uses: 0, type: 'service' },
      steps: [
        { do: 'get', path: 0 },
        { do: 'trouble', trouble: { kind: 'cut' }, which: 'issue', for: 2_000_000 },
        { do: 'change-role', path: 0, ttls: { ttl: 60, maxTtl: 100_000 } },
        { do: 'pass', for: 1_500_000 },
      ],
    },
  ],
  [
    'a lease of a superseded token is still renewed while that token is valid',
    {
      roles: [{ ttl: 20, maxTtl: 100_000 }],
      login: { ttl: 300, maxTtl: 400, period: 0, uses: 0, type: 'service' },
      steps: [
        { do: 'get', path: 0 },
        { do: 'trouble', trouble: { kind: 'cut' }, which: 'issue', for: 2_000_000 },
        { do: 'pass', for: 350_000 },
      ],
    },
  ],
  [
    'a connection that closes while its token is looked up does not log in',
    {
      roles: [{ ttl: 2, maxTtl: 2 }],
      login: { ttl: 5, maxTtl: 5, period: 0, uses: 0, type: 'service' },
      sleepy: true,
      steps: [
        { do: 'suspend', for: 5_006 },
        { do: 'get', path: 0 },
        { do: 'release', path: 0 },
      ],
      healsBeforeClose: true,
    },
  ],
  [
    'a server that answers Retry-After: 0 during an outage gets no requests without a pause',
    {
      roles: [{ ttl: 2, maxTtl: 2 }],
      login: { ttl: 5, maxTtl: 5, period: 0, uses: 0, type: 'service' },
      steps: [
        {
          do: 'trouble',
          trouble: { kind: 'answer', status: 503, body: '{"errors":["Vault is sealed"]}' },
          which: 'all',
          for: 9_063,
        },
        { do: 'pass', for: 9_100 },
        { do: 'get', path: 0 },
      ],
      healsBeforeClose: true,
    },
  ],
  [
    'a failed early login is repeated',
    {
      roles: [{ ttl: 2_179, maxTtl: 4_358 }],
      login: { ttl: 6_994, maxTtl: 20_982, period: 0, uses: 0, type: 'batch' },
      steps: [
        { do: 'trouble', trouble: { kind: 'drop' }, which: 'all', for: 4 },
        { do: 'step-wall', by: 3_805_963 },
        { do: 'subscribe', path: 0, keepTrying: false },
      ],
      healsBeforeClose: true,
    },
  ],
])('%s', async (_title, schedule) => {
  for (const dialect of ['openbao', 'vault'] as const) await live({ ...BASE, ...schedule, dialect });
});
