import { beforeEach, expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { VirtualClock } from '../../../lib/testing/clock/virtual-clock.js';
import { SimulatedVault } from '../../../lib/testing/simulated-vault.js';

/** A virtual clock on which work takes time. A turn of the event loop is a moment of the virtual time below it. */
class WorkingClock extends VirtualClock {
  /** Milliseconds that each look at the clock takes. */
  look = 0;
  #worked = 0;

  override monotonic(): number {
    this.#worked += this.look;
    return super.monotonic() + this.#worked;
  }

  override wall(): number {
    return super.wall() + this.#worked;
  }

  work(milliseconds: number): void {
    this.#worked += milliseconds;
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
let connection: VaultConnection;
/** What happened in each turn. */
let seen: Map<number, string[]>;

beforeEach(async () => {
  clock = new WorkingClock();
  vault = new SimulatedVault({ clock });
  TTLS.forEach((ttl, index) => vault.databaseRole(`role-${index}`, { defaultTtl: ttl, maxTtl: 86_400 }));
  const { roleId, secretId } = vault.appRole('app', { tokenTtl: 86_400 });
  const auth = appRole({ roleId, secretId: secretId() });
  const options = resolveOptions({ address: 'http://vault.test', auth, renewal: { jitter: 0 } });
  bus = new EventBus();
  connection = new VaultConnection(options, bus, clock, vault.transport());
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
