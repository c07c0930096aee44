import { inspect } from 'node:util';
import { map, Subject, switchAll, type Observable } from 'rxjs';
import { expect, it } from 'vitest';
import type { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { isUserData } from '../../../lib/leases/user-credentials.js';
import type { PoolStatus } from '../../../lib/events/status.js';
import { toLogins } from '../../../lib/integrations/rotation/login-credentials.js';
import type { PoolGeneration } from '../../../lib/integrations/rotation/pool-generation.js';
import { linkOf } from '../../../lib/leases/connection-link.js';
import type { Credentials } from '../../../lib/leases/lease.js';
import { logEvents } from '../../../lib/events/log-events.js';
import type { VaultLogLine } from '../../../lib/events/log-line.js';
import { AlteredVault } from '../../support/altered-vault.js';
import { rotating, type Rotating } from './rotating.js';

const PATH = 'database/creds/app';
const MINUTE = 60_000;

const watch = (connection: VaultConnection) => connection.leases.watch(PATH, false, undefined, isUserData);
const poolsOf = ({ status }: VaultConnection): readonly PoolStatus[] => status.pools;
/** A pool on a stream of snapshots; an application may pipe it. */
const poolOn = (credentials$: Observable<Credentials>, driver: Parameters<typeof rotating>[0] = {}) =>
  rotating(driver, { credentials$: toLogins(credentials$.pipe(map((one) => ({ ...one })))) });

function open({ rotation }: Rotating, name: string): PoolGeneration<string> {
  const generation = rotation.current as PoolGeneration<string>;
  rotation.connectionOpened(generation, name);
  return generation;
}

it('the status of a connection lists a pool, its drain windows on the clock of the connection, and forgets it', async () => {
  const world = new AlteredVault();
  const { connection } = await world.live({ ttl: 3_600, maxTtl: 3_600 });
  const ended: string[] = [];
  const pool = poolOn(watch(connection), { end: (one) => void ended.push(one) });
  await world.clock.advance(0);
  const first = open(pool, 'busy');
  expect(poolsOf(connection)).toEqual([
    {
      driver: 'pg',
      path: PATH,
      serial: 1,
      connections: 1,
      superseded: 0,
      drains: [],
      counters: { rotated: 0, refused: 0, 'verification-failed': 0, 'drain-timeout': 0, warning: 0 },
    },
  ]);

  let changes = 0;
  connection.changes$.subscribe(() => changes++);
  while (pool.rotation.current === first) await world.clock.advance(1_000);
  const until = new Date(first.closeAt as Date);
  expect(+until - world.clock.wall()).toBeGreaterThan(28_000);
  expect(+until - world.clock.wall()).toBeLessThanOrEqual(30_000);
  open(pool, 'new');
  expect(poolsOf(connection)).toMatchObject([
    { serial: 2, connections: 1, superseded: 1, drains: [{ serial: 1, connections: 1, until }] },
  ]);
  expect(changes).toBeGreaterThan(0);
  await world.clock.advance(+until - world.clock.wall() - 1);
  expect(ended).toEqual([]);
  await world.clock.advance(1);
  expect(ended).toEqual(['busy']);

  pool.rotation.connectionClosed(first, 'busy');
  expect(poolsOf(connection)).toMatchObject([{ serial: 2, connections: 1, superseded: 0, drains: [] }]);
  pool.rotation.end();
  expect(poolsOf(connection)).toHaveLength(1);
  pool.rotation.connectionClosed(pool.rotation.current as PoolGeneration<string>, 'new');
  expect(poolsOf(connection)).toEqual([]);
  await world.clock.until(connection.close());
});

it('a rejected login is in the status and in the log of the connection, whose health is that of the lease', async () => {
  const world = new AlteredVault();
  const { connection, bus } = await world.live({ ttl: 3_600, maxTtl: 3_600 });
  const lines: string[] = [];
  const keep = (line: VaultLogLine) => void lines.push(line.message);
  logEvents(bus.events$, { log: () => undefined, error: keep, warn: keep });
  const denied = Object.assign(new Error('canary of a driver'), { code: '28P01' });
  let rejects = true;
  const pool = poolOn(watch(connection), {
    verify: () => (rejects ? Promise.reject(denied) : Promise.resolve()),
    isLoginRejected: (error) => error === denied,
  });
  await world.clock.advance(0);
  const at = new Date(world.clock.wall());
  pool.rotation.loginFailed(pool.rotation.current as PoolGeneration<string>, denied);
  await world.clock.advance(0);
  expect(poolsOf(connection)).toMatchObject([
    { lastRefusal: { at, path: PATH, serial: 1, code: '28P01', confirmed: true }, counters: { refused: 1 } },
  ]);
  expect(poolsOf(connection)).toMatchObject([{ rejectedSince: at }]);
  expect(lines).toEqual([
    `[default] pool of pg: The login with ${PATH} #1 was rejected; new credentials are requested.`,
  ]);
  rejects = false;
  await world.clock.advance(MINUTE);
  expect(poolsOf(connection)).toMatchObject([{ serial: 2, lastRefusal: { serial: 1 } }]);
  expect(poolsOf(connection)[0]).not.toHaveProperty('rejectedSince');
  expect(connection.status.health).toBe('up');
  pool.rotation.end();
  await world.clock.until(connection.close());
});

it('rejected credentials that nothing replaces are tried again, so that an idle pool learns that they work', async () => {
  const world = new AlteredVault();
  const life = await world.live({ ttl: 36_000, maxTtl: 36_000 });
  const { connection } = life;
  const denied = new Error('denied');
  let rejects = true;
  let logins = 0;
  const pool = poolOn(watch(connection), {
    verify: () => (logins++, rejects ? Promise.reject(denied) : Promise.resolve()),
    isLoginRejected: (error) => error === denied,
  });
  await world.clock.advance(0);
  // A frozen connection requests no other credentials, as one without a server cannot.
  connection.freeze();
  const since = new Date(world.clock.wall());
  pool.rotation.loginFailed(pool.rotation.current as PoolGeneration<string>, denied);
  await world.clock.advance(MINUTE);
  expect(poolsOf(connection)).toMatchObject([{ serial: 1, rejectedSince: since, counters: { refused: 1 } }]);
  expect(life.of('pool-warning')).toHaveLength(1);
  expect(logins).toBeLessThan(15);
  rejects = false;
  await world.clock.advance(MINUTE);
  expect(poolsOf(connection)[0]).not.toHaveProperty('rejectedSince');
  const after = logins;
  await world.clock.advance(MINUTE);
  expect(logins).toBe(after);
  pool.rotation.end();
  await world.clock.until(connection.close());
});

it('two pools of one path are listed each with its own connections', async () => {
  const world = new AlteredVault();
  const { connection } = await world.live();
  const [one, other] = [poolOn(watch(connection)), poolOn(watch(connection))];
  await world.clock.advance(0);
  open(one, 'a');
  for (const name of ['b', 'c']) open(other, name);
  expect(poolsOf(connection).map(({ connections }) => connections)).toEqual([1, 2]);
  one.rotation.end();
  one.rotation.connectionClosed(one.rotation.current as PoolGeneration<string>, 'a');
  expect(poolsOf(connection).map(({ connections }) => connections)).toEqual([2]);
  other.rotation.end();
});

it('a pool that moves from one connection to another is listed at both until its old connections are closed', async () => {
  const worlds = [new AlteredVault(), new AlteredVault()] as const;
  const [{ connection: here }, { connection: there }] = [await worlds[0].live(), await worlds[1].live()];
  const sources = new Subject<Observable<Credentials>>();
  const pool = poolOn(sources.pipe(switchAll()));
  sources.next(watch(here));
  await worlds[0].clock.advance(0);
  const old = open(pool, 'old');
  sources.next(watch(there));
  await worlds[1].clock.advance(0);
  open(pool, 'new');
  expect(poolsOf(here)).toMatchObject([
    { path: PATH, connections: 0, superseded: 1, drains: [{ serial: 1 }] },
  ]);
  expect(poolsOf(here)[0]).not.toHaveProperty('serial');
  expect(poolsOf(there)).toMatchObject([
    { path: PATH, serial: 1, connections: 1, superseded: 0, drains: [] },
  ]);
  // The old connections drain on the clock of the connection that their credentials come from.
  await worlds[1].clock.advance(MINUTE);
  expect(poolsOf(here)).toHaveLength(1);
  pool.rotation.connectionClosed(old, 'old');
  expect(poolsOf(here)).toEqual([]);
  pool.rotation.end();
});

it('a snapshot shows no trace of its connection', async () => {
  const world = new AlteredVault();
  const { connection } = await world.live();
  const { lease } = await world.clock.until(connection.leases.get(PATH));
  expect(linkOf(lease)?.clock).toBe(world.clock);
  expect(inspect(lease, { depth: 9 })).not.toMatch(/Symbol|clock|emit/);
  expect(Reflect.ownKeys({ ...lease })).toEqual(Object.keys(lease));
  expect(JSON.stringify(lease)).not.toContain('clock');
  expect(Object.isFrozen(lease)).toBe(true);
});
