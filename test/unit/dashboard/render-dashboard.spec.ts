import { stripVTControlCharacters } from 'node:util';
import { expect, it } from 'vitest';
import { renderDashboard } from '../../../lib/dashboard/index.js';
import { widthOf } from '../../../lib/dashboard/text-width.js';
import type { ConnectionStatus, LeaseStatus } from '../../../lib/events/status.js';
import { connection, inTime, lease, NOW, pool, session, status, UNREACHABLE } from './fixtures.js';

const render = (one: ConnectionStatus, columns: number, lines = 16) =>
  renderDashboard(status(one), { now: NOW, columns, lines });

const failing = { attempt: 3, error: UNREACHABLE } as const;
const STATES: Record<string, ConnectionStatus> = {
  start: connection({
    health: 'down',
    session: session({
      state: 'none',
      sequence: 0,
      ttl: undefined,
      validUntil: undefined,
      endsBy: undefined,
      next: { action: 'login', reason: 'start' },
    } as never),
    leases: [],
    pools: [],
  }),
  steady: connection(),
  rotation: connection({
    leases: [
      lease({
        serial: 3,
        superseded: 1,
        ending: [{ serial: 2, ttl: 10_000, validUntil: inTime(1_700), held: true }],
      }),
    ],
    pools: [
      pool({ serial: 3, superseded: 3, drains: [{ serial: 2, connections: 3, until: inTime(2_100) }] }),
    ],
  }),
  'max TTL': connection({
    leases: [
      lease({
        ttl: 4_000,
        validUntil: inTime(3_900),
        endsBy: 'max-ttl',
        next: { action: 'issue', at: NOW, reason: 'max-ttl' },
      }),
    ],
  }),
  'with token': connection({
    leases: [lease({ ttl: 600_000, validUntil: inTime(16_200), endsBy: 'token' })],
  }),
  outage: connection({
    health: 'degraded',
    session: session({
      state: 'degraded',
      ...failing,
      next: { action: 'renew', at: inTime(1_200), reason: 'renewal' },
    }),
    leases: [
      lease({ state: 'degraded', ...failing, next: { action: 'renew', at: inTime(800), reason: 'renewal' } }),
    ],
  }),
  expired: connection({
    health: 'down',
    leases: [
      lease({
        state: 'expired',
        ...failing,
        validUntil: inTime(-4_000),
        next: { action: 'issue', at: inTime(500), reason: 'expired' },
      }),
    ],
  }),
  refused: connection({
    pools: [
      pool({
        connections: 0,
        rejectedSince: inTime(-12_000),
        lastRefusal: { at: NOW, path: 'database/creds/orders', serial: 2, code: '28P01', confirmed: true },
      }),
    ],
  }),
  draining: connection({ shutdown: 'draining' }),
  closed: connection({ session: session({ state: 'closed' }), leases: [], pools: [] }),
};

/** Blocks as they are seen; the cases without a width are at 80 columns. */
const BLOCKS: Record<string, string> = {
  start: `
── default: starting ─── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token     ░░░░░░░░░░░░░░░░░░░░░░░░      none yet
`,
  steady: `
── default: up ───────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           █████████░░  16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #2     ███████░░░░   6.2 of 10 s  renew in 2.8 s
 pool   pg database/creds/orders #2  ███████████        4 open
`,
  rotation: `
── default: up ───────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           █████████░░  16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #3     ███████░░░░   6.2 of 10 s  renew in 2.8 s
        └ #2                         ██░░░░░░░░░   1.7 of 10 s  in use
 pool   pg database/creds/orders #3  ██████░░░░░  4 new, 3 old  close in 2.1 s
`,
  'max TTL': `
── default: up ───────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           █████████░░  16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #2     ███████████    3.9 of 4 s  rotate now
        max TTL
 pool   pg database/creds/orders #2  ███████████        4 open
`,
  'with token': `
── default: up ───────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           ██████░      16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #2     █░░░░░░  16.2 s of 10 min  renew in 2.8 s
        ends with its token
 pool   pg database/creds/orders #2  ███████            4 open
`,
  outage: `
── default: degraded ─── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           █████████░░  16.2 of 20 s  retry in 1.2 s
        3 failed: VAULT_UNREACHABLE
 lease  database/creds/orders #2     ███████░░░░   6.2 of 10 s  retry in 0.8 s
        3 failed: VAULT_UNREACHABLE
 pool   pg database/creds/orders #2  ███████████        4 open
`,
  expired: `
── default: down ─────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           ██████░░     16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #2     ░░░░░░░░  ended 4.0 s ago  retry in 0.5 s
        3 failed: VAULT_UNREACHABLE
 pool   pg database/creds/orders #2  ████████           4 open
`,
  refused: `
── default: up ───────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           █████████░░  16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #2     ███████░░░░   6.2 of 10 s  renew in 2.8 s
 pool   pg database/creds/orders #2                     0 open
        logins rejected for 12.0 s: 28P01
`,
  draining: `
── default: draining ─── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           █████████░░  16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #2     ███████░░░░   6.2 of 10 s  renew in 2.8 s
 pool   pg database/creds/orders #2  ███████████        4 open
`,
  closed: `
── default: closed ───── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
`,
  'rotation at 60': `
── default: up ─ 2 issued, 3 renewed, 1 rotated, 1 login ──
 token  #1            █████░  16.2 of 20 s  renew in 9.5 s
 lease  dat…rders #3  ████░░   6.2 of 10 s  renew in 2.8 s
        └ #2          █░░░░░   1.7 of 10 s  in use
 pool   pg …rders #3  ███░░░  4 new, 3 old  close in 2.1 s
`,
  'rotation at 120': `
── default: up ───────────────────────────────────────────────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           ███████████████████░░░░░  16.2 of 20 s  renew in 9.5 s
 lease  database/creds/orders #3     ███████████████░░░░░░░░░   6.2 of 10 s  renew in 2.8 s
        └ #2                         ████░░░░░░░░░░░░░░░░░░░░   1.7 of 10 s  in use           superseded
 pool   pg database/creds/orders #3  ██████████████░░░░░░░░░░  4 new, 3 old  close in 2.1 s
`,
  'outage at 60': `
── default: degraded ──── 2 issued, 3 renewed, 1 rotated ──
 token  #1            █████░  16.2 of 20 s  retry in 1.2 s
        3 failed: VAULT_UNREACHABLE
 lease  dat…rders #2  ████░░   6.2 of 10 s  retry in 0.8 s
        3 failed: VAULT_UNREACHABLE
 pool   pg …rders #2  ██████        4 open
`,
  'outage at 120': `
── default: degraded ─────────────────────────────────────────── 2 issued, 3 renewed, 1 rotated, 1 login, 3 requests ──
 token  #1                           ██████████████████░░░░  16.2 of 20 s  retry in 1.2 s   3 failed: VAULT_UNREACHABLE
 lease  database/creds/orders #2     ██████████████░░░░░░░░   6.2 of 10 s  retry in 0.8 s   3 failed: VAULT_UNREACHABLE
 pool   pg database/creds/orders #2  ██████████████████████        4 open
`,
};

it.each(Object.entries(BLOCKS))('%s', (title, block) => {
  const [name = '', columns = '80'] = title.split(' at ');
  expect(`\n${render(STATES[name] as ConnectionStatus, Number(columns)).join('\n')}\n`).toBe(block);
});

it('no line is wider than one column less than the terminal, with colours or without', () => {
  for (const [name, one] of Object.entries(STATES)) {
    for (let columns = 10; columns <= 160; columns += 5) {
      const plain = render(one, columns);
      expect(Math.max(...plain.map(widthOf)), `${name} at ${columns}`).toBeLessThan(columns);
      const options = { now: NOW, columns, color: true };
      const colored = renderDashboard(status(one), options).map(stripVTControlCharacters);
      expect(Math.max(...colored.map(widthOf)), `${name} at ${columns}`).toBeLessThan(columns);
      if (columns >= 40) expect(colored).toEqual(plain);
    }
  }
});

/** Forty leases, of which the 38th has a failed renewal and the 39th has ended. */
const many = Array.from({ length: 40 }, (_, index): LeaseStatus => {
  const path = `database/creds/orders-service-of-the-shop-${index}`;
  const next = { action: 'renew', at: inTime(1_000 + ((index * 7_919) % 5_000)), reason: 'renewal' } as const;
  if (index === 38) return lease({ path, next, state: 'degraded', ...failing });
  if (index === 39) return lease({ path, next, state: 'expired', validUntil: inTime(-1_000) });
  return lease({ path, next });
});

it('of many leases the most urgent are shown, in their order, and the number of the others', () => {
  const lines = render(connection({ leases: many, pools: [] }), 80, 12);
  expect(lines).toHaveLength(12);
  expect(lines.at(-1)).toBe(' + 32 leases more');
  const shown = lines.filter((line) => line.startsWith(' lease'));
  expect(shown.filter((line) => /ended|retry/.test(line))).toHaveLength(2);
  expect(lines.filter((line) => line.includes('3 failed: VAULT_UNREACHABLE'))).toHaveLength(1);
  const due = (one: LeaseStatus) => one.next.at?.getTime() ?? 0;
  const soonest = many.slice(0, 38).sort((a, b) => due(a) - due(b));
  for (const { next } of soonest.slice(0, 5)) {
    const seconds = ((next.at?.getTime() ?? 0) - NOW.getTime()) / 1_000;
    expect(shown.join('\n')).toContain(`renew in ${seconds.toFixed(1)} s`);
  }
});

it('at 120 columns a long reason is cut, and no name', () => {
  const one = lease({
    ...failing,
    state: 'expired',
    serial: 13,
    validUntil: inTime(-10_600),
    endsBy: 'max-ttl',
    drain: { needed: 10_000, allowed: 7_500 },
  });
  const [, , line = ''] = render(connection({ leases: [one], pools: [pool({ serial: 13 })] }), 120);
  expect(line).toContain(' database/creds/orders #13 ');
  expect(line).toMatch(/ 3 failed: VAULT_UNREACHABLE, max.*…$/);
});

it.each([60, 80, 120])(
  'paths that differ look different at %i columns, where they are cut, too',
  (columns) => {
    const alike = [
      'database/creds/orders-service-of-the-shop-reader-primary',
      'database/creds/orders-service-of-the-shop-writer-primary',
      'database/creds/orders-service-of-the-shop-reader-standby',
      'databases-of-europe/creds/orders-service-of-the-shop-reader-primary',
    ].map((path) => lease({ path }));
    const lines = render(connection({ leases: alike, pools: [] }), columns).filter((line) =>
      line.startsWith(' lease'),
    );
    expect(new Set(lines).size).toBe(4);
    expect(Math.max(...lines.map(widthOf))).toBeLessThan(columns);
  },
);

it('names with wide characters and emoji keep the columns in their places', () => {
  const wide = connection({
    name: '東京 🚀',
    leases: [lease({ path: 'データベース/creds/注文' }), lease({ path: 'café/creds/o' })],
    pools: [],
  });
  const [, token = '', first = '', second = ''] = render(wide, 80);
  const before = (line: string) => widthOf(line.slice(0, line.search(/[█░]/)));
  expect(before(first)).toBe(before(token));
  expect(before(second)).toBe(before(token));
});

it('a name cannot control the terminal', () => {
  const hostile = 'a\u001B[2Jb\nc\u202Ed';
  const one = connection({
    name: hostile,
    leases: [lease({ path: hostile })],
    pools: [pool({ driver: hostile })],
  });
  const text = renderDashboard(status(one), { now: NOW, note: hostile }).join('|');
  expect(text).not.toMatch(/\p{Cc}|\u202E/u);
});

it('several connections have a header each; of many, the first are shown', () => {
  const names = (count: number, lines: number) =>
    renderDashboard(
      status(...Array.from({ length: count }, (_, index) => connection({ name: `c${index}` }))),
      {
        now: NOW,
        lines,
      },
    );
  const two = names(2, 12);
  expect(two.filter((line) => line.startsWith('──'))).toHaveLength(2);
  const ten = names(10, 10);
  expect(ten).toHaveLength(10);
  expect(ten.at(-1)).toBe(' + 7 more connections');
});

it('the note of the application is the last line', () => {
  const lines = renderDashboard(status(connection()), { now: NOW, note: '12 good, 0 failed' });
  expect(lines.at(-1)).toBe(' 12 good, 0 failed');
});
