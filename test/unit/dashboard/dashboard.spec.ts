import { CredentialsService } from 'nestjs-vault';
import { afterEach, expect, it } from 'vitest';
import { Dashboard } from '../../../lib/dashboard/dashboard.js';
import { JsonView, LineView, LiveView, type View } from '../../../lib/dashboard/views.js';
import { RemainingRecord, remainingLines } from '../../../lib/dashboard/remaining.js';
import { SimulatedApplication } from '../../support/simulated-application.js';
import { TerminalScreen } from '../../support/terminal-screen.js';
import { connection, inTime, NOW, session, status } from './fixtures.js';

let world: SimulatedApplication;
afterEach(() => world.apps.finish());

/** An application with a database user, shown in a view. */
async function shown(viewOf: (startedAt: number) => View, note = () => '12 good, 0 failed') {
  world = new SimulatedApplication();
  world.vault.databaseRole('orders', { defaultTtl: '10s', maxTtl: '30s' });
  const app = await world.start({});
  const credentials = app.get(CredentialsService);
  /** All that must not be shown. */
  const secrets = new Set<string>();
  const watched = credentials.database('orders').subscribe(({ username, password }) => {
    for (const secret of [username, password]) secrets.add(secret.reveal());
  });
  await world.clock.settle();
  let ends = 0;
  const view = viewOf(world.clock.wall());
  const dashboard = new Dashboard(credentials, view, world.clock, note, () => ends++);
  await world.clock.settle();
  const end = async () => {
    watched.unsubscribe();
    await world.clock.until(app.close());
  };
  return { dashboard, secrets, end, ends: () => ends };
}

const expectNone = (secrets: ReadonlySet<string>, text: string) => {
  // One user for each max TTL.
  expect(secrets.size).toBeGreaterThanOrEqual(4);
  expect([...secrets].filter((secret) => text.includes(secret))).toEqual([]);
};

it('the block follows renewals, rotations, an outage and the end, above it a line for each event', async () => {
  const screen = new TerminalScreen(80);
  const { secrets, end, ends } = await shown((startedAt) => new LiveView(screen, [], true, startedAt));
  const block = () => screen.shown.slice(screen.shown.findLastIndex((row) => row.startsWith('──')));
  expect(block()[0]).toMatch(/^── default: up ─+ 1 issued, 0 renewed, 0 rotated, 1 login, /);
  expect(block()[2]).toMatch(
    /^ lease {2}database\/creds\/orders #1 {2}█+ {2}10\.0 of 10 s {2}renew in [5-8]\.\d s/,
  );
  await world.clock.advance(60_000);
  expect(screen.shown.join('\n')).toMatch(/^ +\S+s {2}rotated {8}database\/creds\/orders #2 /m);
  world.vault.cut(/./);
  // Until the first attempt fails: a third of the TTL is left then.
  for (let step = 0; step < 20 && !block().join().includes('failed:'); step++) await world.clock.advance(500);
  expect(block().join('\n')).toMatch(/^── default: degraded /);
  expect(block().join('\n')).toMatch(/\d+ failed: VAULT_UNREACHABLE/);
  world.vault.clearFaults();
  await world.clock.advance(10_000);
  expect(block()[0]).toMatch(/^── default: up /);
  expect(block().at(-2)).toBe(' 12 good, 0 failed');
  await end();
  expect(block()).toEqual([expect.stringMatching(/^── default: closed /), '']);
  expect(screen.shown.filter((row) => row.startsWith('──'))).toHaveLength(1);
  expect(ends()).toBe(1);
  expectNone(secrets, screen.shown.join('\n'));
});

it('in a pipe there are lines only: events, and every five seconds the note', async () => {
  const lines: string[] = [];
  const { secrets, end } = await shown(
    (startedAt) => new LineView((line) => lines.push(line), true, startedAt),
  );
  await world.clock.advance(90_000);
  await end();
  expect(lines.filter((line) => line.endsWith('12 good, 0 failed')).length).toBeGreaterThanOrEqual(18);
  expect(lines.at(-1)).toMatch(/closed {9}default$/);
  // oxlint-disable-next-line no-control-regex
  expect(lines.join('')).not.toMatch(/[\u0000-\u001f█░─]/);
  expectNone(secrets, lines.join('\n'));
});

it('JSON: one object a line, all events and each change of the status, and all of it can be read again', async () => {
  const lines: string[] = [];
  const { secrets, end } = await shown(
    () =>
      new JsonView(
        (line) => lines.push(line),
        () => undefined,
      ),
  );
  world.vault.cut(/renew/);
  await world.clock.advance(90_000);
  await end();
  const objects = lines.map((line) => JSON.parse(line) as Record<string, any>);
  expect(objects.every(({ type, at }) => typeof type === 'string' && !Number.isNaN(Date.parse(at)))).toBe(
    true,
  );
  const types = new Set(objects.map(({ type }) => type as string));
  for (const type of ['login', 'issued', 'renewal-failed', 'rotated', 'closed', 'status', 'note'])
    expect(types).toContain(type);
  const failed = objects.find(({ type }) => type === 'renewal-failed');
  expect(failed?.['error']).toEqual({
    code: 'VAULT_UNREACHABLE',
    message: expect.any(String),
    hint: expect.any(String),
  });
  const statuses = objects.filter(({ type }) => type === 'status');
  expect(statuses[0]?.['connections'][0].leases[0]).toMatchObject({
    path: 'database/creds/orders',
    ttl: 10_000,
  });
  // The status changes at every failed attempt, and is written once a second at most.
  const times = statuses.map(({ at }) => Date.parse(at));
  expect(
    Math.min(...times.slice(1, -1).map((time, index) => time - (times[index] ?? 0))),
  ).toBeGreaterThanOrEqual(1_000);
  expectNone(secrets, lines.join('\n'));
});

it('an application that ends before it has closed says what it leaves', async () => {
  const lines: string[] = [];
  const { dashboard, end } = await shown((at) => new LineView((line) => lines.push(line), false, at));
  await world.clock.advance(12_000);
  dashboard.end();
  expect(lines.slice(-3)).toEqual([
    'default leaves on its server:',
    expect.stringMatching(/^ {2}token 1, until \d\d:\d\d:\d\d \(32\.0 d\)$/),
    expect.stringMatching(/^ {2}database\/creds\/orders #1, until \d\d:\d\d:\d\d \([4-9]\.\d s\)$/),
  ]);
  await end();
});

it('the same of ten thousand leases: the first ones, and the number of the others', () => {
  const leases = Array.from({ length: 10_000 }, (_, index) => ({
    path: `database/creds/role-${index}`,
    serial: 1,
    ...(index < 9_999 && { validUntil: inTime(index * 1_000) }),
  }));
  const left = { connection: 'default', revoked: false, token: { sequence: 1, validUntil: inTime(60_000) } };
  const lines = (some: typeof leases) => remainingLines([{ ...left, leases: some }], NOW.getTime());
  expect(lines(leases)).toHaveLength(13);
  expect(lines(leases).at(-1)).toBe('  + 9990 more leases, the last one without an end');
  expect(lines(leases.slice(0, 12)).at(-1)).toMatch(
    /^ {2}\+ 2 more leases, the last one until [\d:]+ \(11\.0 s\)$/,
  );
  expect(lines(leases.slice(0, 10)).at(-1)).toMatch(/role-9 #1/);
});

it('the same, where the server ended the token at the last moment: nothing is left', () => {
  const record = new RemainingRecord();
  const open = status(connection());
  record.status(open);
  record.event({ type: 'token-ended', connection: 'default', at: NOW, sequence: 1, how: 'revoke-requested' });
  expect(remainingLines(record.of(open), NOW.getTime())).toEqual([
    'default: token 1 was revoked, and with it 1 lease: nothing is left.',
  ]);
});

it('the same while it closes, when the status has no leases any more, and where the revocation fails', () => {
  const record = new RemainingRecord();
  record.status(status(connection()));
  record.event({ type: 'closing', connection: 'default', at: NOW });
  const closing = status(connection({ leases: [], session: session({ state: 'closed' }) }));
  record.status(closing);
  const left = [
    {
      connection: 'default',
      revoked: false,
      token: { sequence: 1, validUntil: inTime(16_200) },
      leases: [{ path: 'database/creds/orders', serial: 2, validUntil: inTime(6_200) }],
    },
  ];
  expect(record.of(closing)).toEqual(left);
  record.event({ type: 'token-ended', connection: 'default', at: NOW, sequence: 1, how: 'revoke-failed' });
  expect(record.of(closing)).toEqual(left);
  record.event({ type: 'token-ended', connection: 'default', at: NOW, sequence: 1, how: 'given' });
  expect(record.of(closing)).toEqual([]);
});

it('a note that throws ends nothing', async () => {
  const screen = new TerminalScreen(80);
  const { end } = await shown(
    (at) => new LiveView(screen, [], false, at),
    () => {
      throw new Error('a fault of the application');
    },
  );
  await world.clock.advance(5_000);
  expect(screen.shown.join('\n')).toContain('database/creds/orders #1');
  await end();
});
