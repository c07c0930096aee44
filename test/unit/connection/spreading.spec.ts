import { beforeEach, expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { EventBus } from '../../../lib/events/events.js';
import type { Credentials } from '../../../lib/leases/lease.js';
import { VirtualClock } from '../../../lib/testing/clock/virtual-clock.js';
import { SimulatedVault } from '../../../lib/testing/simulated-vault.js';

/** A virtual clock on which work takes time. A turn of the event loop is a moment of the virtual time below it. */
class WorkingClock extends VirtualClock {
  /** Milliseconds that each look at the clock takes. */
  look = 0;
  /** Milliseconds of work in each turn. */
  readonly turns = new Map<number, number>();
  #worked = 0;

  override monotonic(): number {
    this.work(this.look);
    return super.monotonic() + this.#worked;
  }

  override wall(): number {
    return super.wall() + this.#worked;
  }

  work(milliseconds: number): void {
    this.#worked += milliseconds;
    this.turns.set(this.turn, (this.turns.get(this.turn) ?? 0) + milliseconds);
  }

  get turn(): number {
    return super.monotonic();
  }
}

const COUNT = 40;
/** TTLs in seconds, in no order. */
const TTLS = Array.from({ length: COUNT }, (_, index) => 600 + ((index * 17) % COUNT) * 60);
const pathOf = (index: number) => `database/creds/role-${index}`;
const paths = TTLS.map((_, index) => pathOf(index));

let clock: WorkingClock;
let vault: SimulatedVault;
let bus: EventBus;
let connect: (more?: Partial<VaultOptions>) => VaultConnection;
let connection: VaultConnection;
/** What happened in each turn. */
let seen: Map<number, string[]>;

beforeEach(async () => {
  clock = new WorkingClock();
  vault = new SimulatedVault({ clock });
  TTLS.forEach((ttl, index) => vault.databaseRole(`role-${index}`, { defaultTtl: ttl, maxTtl: 86_400 }));
  const { roleId, secretId } = vault.appRole('app', { tokenTtl: 86_400 });
  bus = new EventBus();
  connect = (more) => {
    const auth = appRole({ roleId, secretId: secretId() });
    const options = resolveOptions({ address: 'http://vault.test', auth, renewal: { jitter: 0 }, ...more });
    return new VaultConnection(options, bus, clock, vault.transport());
  };
  connection = connect();
  await clock.until(Promise.all(paths.map((path) => connection.leases.get(path))));
  seen = new Map();
});

/** Something that takes a millisecond. */
function takes(what: string): void {
  const { turn } = clock;
  seen.set(turn, [...(seen.get(turn) ?? []), what]);
  clock.work(1);
}
const most = () => Math.max(...[...seen.values()].map(({ length }) => length));
const order = () => [...seen.values()].flat();
const loseToken = async () => {
  vault.revokeAllTokens();
  await clock.until(connection.client.list('secret/metadata'));
};

it('a lost token: its leases are looked at over several turns, and none is handed out meanwhile', async () => {
  const handedOut: unknown[] = [];
  const early: unknown[] = [];
  const later: Promise<unknown>[] = [];
  bus.events$.subscribe((event) => {
    if (event.type !== 'expired') return;
    takes(event.path);
    if (order().length !== 3) return;
    // All are dead from now on, although most were not looked at yet.
    for (const path of paths) {
      handedOut.push(connection.leases.current(path));
      connection.leases.watch(path, false).subscribe((value) => early.push(value.lease.tokenSequence));
    }
    later.push(connection.leases.get(pathOf(COUNT - 1)));
  });
  await loseToken();
  await clock.until(Promise.all(later));
  await clock.advance(1_000);
  expect(handedOut).toEqual(paths.map(() => undefined));
  expect(early).toHaveLength(COUNT);
  expect(new Set(early)).toEqual(new Set([2]));
  expect(await later[0]).toMatchObject({ lease: { tokenSequence: 2 } });
  expect(order()).toHaveLength(COUNT);
  expect(seen.size).toBeGreaterThanOrEqual(COUNT / 6);
  expect(most()).toBeLessThanOrEqual(6);
});

it('the leases whose renewal is due first are looked at first', async () => {
  bus.events$.subscribe((event) => {
    if (event.type === 'expired') takes(event.path);
  });
  await loseToken();
  await clock.advance(1_000);
  // The first turn has begun before there was a queue.
  const [first = [], ...queued] = seen.values();
  expect(first.length).toBeLessThanOrEqual(6);
  const ttls = queued.flat().map((path) => TTLS[paths.indexOf(path)] as number);
  expect(ttls.length).toBeGreaterThan(COUNT / 2);
  expect(ttls).toEqual([...ttls].sort((one, next) => one - next));
});

it('many requests at once: they begin over several turns, and each gets its credentials', async () => {
  vault.clearHistory();
  const more = Array.from({ length: 200 }, (_, index) => `database/creds/more-${index}`);
  more.forEach((path) => vault.databaseRole(path.slice('database/creds/'.length), { defaultTtl: 3_600 }));
  clock.look = 0.05;
  const began = clock.turn;
  const all = Promise.all(more.map((path) => connection.leases.get(path)));
  await clock.settle();
  const inFirstTurn = vault.history.length;
  expect(inFirstTurn).toBeGreaterThan(0);
  expect(inFirstTurn).toBeLessThan(more.length);
  expect(await clock.until(all)).toHaveLength(more.length);
  expect(clock.turn).toBeGreaterThan(began);
});

/** Roles that nobody has asked for. */
function otherPaths(count: number): string[] {
  const names = Array.from({ length: count }, (_, index) => `more-${index}`);
  for (const name of names) vault.databaseRole(name, { defaultTtl: 3_600 });
  return names.map((name) => `database/creds/${name}`);
}
/** Each call that has been served waits for its credentials with a time-out. */
const served = () => clock.pending;

it('many calls in one turn: most of them wait for a turn of their own', async () => {
  const more = otherPaths(200);
  clock.look = 0.05;
  const all = more.map((path) => connection.leases.get(path));
  expect(served()).toBeLessThan(100);
  expect(connection.leases.status().length).toBeLessThan(COUNT + 100);
  expect(await clock.until(Promise.all(all))).toHaveLength(more.length);
});

it('many calls in one turn after a lost token: the same', async () => {
  let all: Promise<Credentials>[] = [];
  let servedAtOnce = COUNT;
  clock.look = 0.5;
  bus.events$.subscribe(({ type }) => {
    if (type !== 'expired' || all.length > 0) return;
    all = paths.map((path) => connection.leases.get(path));
    servedAtOnce = served();
  });
  await loseToken();
  expect(servedAtOnce).toBeLessThan(COUNT / 4);
  const again = await clock.until(Promise.all(all));
  expect(again.map(({ lease }) => lease.tokenSequence)).toEqual(paths.map(() => 2));
});

it('a call whose credentials are valid does not wait for those that wait for their turn', async () => {
  const more = otherPaths(200);
  clock.look = 0.05;
  const waiting = Promise.all(more.map((path) => connection.leases.get(path)));
  const before = vault.history.length;
  const { lease } = await connection.leases.get(pathOf(0));
  expect(lease).toMatchObject({ path: pathOf(0), serial: 1 });
  connection.leases.watch(pathOf(1), false).subscribe((value) => takes(value.lease.path));
  expect(order()).toEqual([pathOf(1)]);
  expect(vault.history.length - before).toBeLessThan(more.length);
  await clock.until(waiting);
});

it('many subscribe in one turn: those that leave before their turn ask for nothing', async () => {
  const more = otherPaths(200);
  vault.clearHistory();
  clock.look = 0.05;
  const subscriptions = more.map((path) => connection.leases.watch(path, false).subscribe());
  for (const subscription of subscriptions) subscription.unsubscribe();
  await clock.advance(1_000);
  expect(vault.history.length).toBeGreaterThan(0);
  expect(vault.history.length).toBeLessThan(100);
});

it('the time for which a call waits for its turn is part of its time-out', async () => {
  const [path = '', ...others] = otherPaths(200);
  vault.delay(60_000);
  clock.look = 0.2;
  const began = clock.turn;
  for (const other of others) connection.leases.watch(other, false).subscribe();
  const late = connection.leases.get(path, 500).catch((error: unknown) => error);
  await clock.advance(50);
  clock.look = 0;
  expect(clock.monotonic() - clock.turn).toBeGreaterThan(120);
  expect(await clock.until(late)).toMatchObject({ code: 'VAULT_TIMEOUT' });
  // Timers run in the time of turns.
  expect(clock.turn - began).toBeLessThan(450);
});

it.each([true, false])(
  'calls that still wait for their turn at the end are refused, and no lease is left (revoke: %s)',
  async (revoke) => {
    const more = otherPaths(200);
    const other = connect({ shutdown: { revoke } });
    await clock.until(other.login());
    clock.look = 0.05;
    const all = more.map((path) => other.leases.get(path).catch((error: unknown) => error));
    const closing = other.close();
    const ends = await clock.until(Promise.all(all), 1_000);
    const refused = ends.filter((end) => end instanceof VaultError && end.code === 'VAULT_CLOSED');
    // Those that were served before the end may have their credentials.
    expect(refused.length).toBeGreaterThan(revoke ? 199 : 100);
    await clock.until(closing);
    await clock.advance(3_000);
    expect(vault.leaseCount).toBe(COUNT);
  },
);

it('a call while the end waits for a consumer is refused, and no lease is left', async () => {
  const [path = ''] = otherPaths(1);
  const other = connect({ shutdown: { revoke: false } });
  const { lease } = await clock.until(other.leases.get(pathOf(0)));
  const release = lease.hold();
  const closing = other.close();
  await clock.advance(100);
  const refused = expect(other.leases.get(path)).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
  await clock.advance(100);
  release();
  await clock.until(closing);
  await refused;
  await clock.advance(3_000);
  expect(vault.leaseCount).toBe(COUNT);
});

it('the end: no turn is long, as leases that end with their token need no work', async () => {
  clock.look = 0.1;
  clock.turns.clear();
  await clock.until(connection.close());
  expect(Math.max(...clock.turns.values())).toBeLessThan(20);
  expect(vault.leaseCount).toBe(0);
});

it('the end: streams complete over several turns, and the token is revoked afterwards', async () => {
  for (const path of paths) connection.leases.watch(path, false).subscribe({ complete: () => takes(path) });
  let completed: number | undefined;
  bus.events$.subscribe(({ type }) => {
    if (type === 'token-ended') completed = order().length;
  });
  const closing = connection.close();
  expect(order().length).toBeLessThanOrEqual(6);
  expect(paths.map((path) => connection.leases.current(path))).toEqual(paths.map(() => undefined));
  await clock.until(closing);
  expect(completed).toBe(COUNT);
  expect(order()).toHaveLength(COUNT);
  expect(most()).toBeLessThanOrEqual(6);
  expect(vault.leaseCount).toBe(0);
});

it('the end comes at its time, however much is left to do', async () => {
  for (const path of paths) connection.leases.watch(path, false).subscribe({ complete: () => takes(path) });
  await clock.until(connection.close(3));
  expect(order()).toHaveLength(COUNT);
  expect(clock.pending).toBe(0);
});
