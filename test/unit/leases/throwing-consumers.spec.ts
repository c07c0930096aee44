import { config, map, tap, type Observable } from 'rxjs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { PoolEvents } from '../../../lib/integrations/rotation/pool-events.js';
import { toLogins } from '../../../lib/integrations/rotation/login-credentials.js';
import { Rotation } from '../../../lib/integrations/rotation/rotation.js';
import type { Credentials } from '../../../lib/leases/lease.js';
import { isUserData } from '../../../lib/leases/user-credentials.js';
import { AlteredVault } from '../../support/altered-vault.js';

const PATH = 'database/creds/app';
const reported: unknown[] = [];
const rethrown = () => new Promise((resolve) => setTimeout(resolve, 20));

// RxJS rethrows the error of a subscriber in a timer, for the application to handle.
beforeEach(() => {
  reported.length = 0;
  config.onUnhandledError = (error) => reported.push(error);
});
afterEach(async () => {
  await rethrown();
  config.onUnhandledError = null;
});

/** A pool without connections. */
function rotation(credentials$: Observable<Credentials>): Rotation<string> {
  const nothing = () => undefined;
  const driver = { verify: () => Promise.resolve(), isLoginRejected: () => false, end: nothing };
  return new Rotation(
    toLogins(credentials$),
    { ...driver, onPublished: nothing, onSuperseded: nothing },
    { drain: 100, events: new PoolEvents('test', nothing), onEnd: nothing },
  );
}

it('an operator, a subscriber, a hold and an event listener that throw affect only themselves', async () => {
  const world = new AlteredVault();
  const life = await world.live({ ttl: 60, maxTtl: 120 });
  const { connection, bus } = life;
  const watch = () => connection.leases.watch(PATH, false, undefined, isUserData);
  const fail = (what: string) => {
    throw new Error(what);
  };
  const ended: string[] = [];
  bus.events$.subscribe(({ type }) => fail(`listener at ${type}`));
  connection.changes$.subscribe(() => fail('listener of changes'));
  watch().subscribe(() => fail('subscriber'));
  watch()
    .pipe(map(() => fail('operator')))
    .subscribe({ error: ({ message }: Error) => ended.push(message) });
  watch()
    .pipe(
      tap(({ lease }) => {
        lease.hold({ drain: 100, onEnding: () => fail('ending') })();
        if (lease.serial > 1) fail('operator, later');
      }),
    )
    .subscribe({ error: ({ message }: Error) => ended.push(message) });
  const seen: Credentials[] = [];
  watch().subscribe({ next: (one) => seen.push(one), error: () => ended.push('of the good one') });
  const pool = rotation(watch());

  await world.clock.advance(600_000);
  expect(ended).toEqual(['operator', 'operator, later']);
  await rethrown();
  expect(reported.length).toBeGreaterThan(10);
  expect(seen.length).toBeGreaterThan(4);
  expect(life.of('renewed').length).toBeGreaterThan(4);
  expect([...life.of('rotation-failed'), ...life.of('renewal-failed'), ...life.of('expired')]).toEqual([]);
  expect(connection.status.health).toBe('up');
  // A new subscriber gets the current snapshot.
  const now: Credentials[] = [];
  watch().subscribe((one) => now.push(one));
  expect(now).toEqual([connection.leases.current(PATH)]);
  expect(pool.failure).toBeUndefined();
  expect(pool.current?.lease.serial).toBe(seen.at(-1)?.lease.serial);
  pool.end();
  await world.clock.until(connection.close());
  expect(world.vault.leaseCount).toBe(0);
});

it('the same for a KV watch', async () => {
  const world = new AlteredVault();
  const { connection } = await world.live();
  world.vault.policy('app', 'path "*" { capabilities = ["create", "read", "update"] }');
  let value = 0;
  const write = () =>
    world.clock.until(connection.client.write('secret/data/app', { data: { value: ++value } }));
  await write();
  const watch = () => connection.secrets.watch<{ value: number }>('app', { every: 60_000 });
  const seen: number[] = [];
  const ended: unknown[] = [];
  watch().subscribe(() => {
    throw new Error('subscriber');
  });
  watch()
    .pipe(
      map(() => {
        throw new Error('operator');
      }),
    )
    .subscribe({ error: (error) => ended.push(error) });
  watch().subscribe(({ data }) => seen.push(data.reveal().value));
  for (let round = 0; round < 3; round++) {
    await world.clock.advance(120_000);
    await write();
  }
  await world.clock.advance(120_000);
  expect(seen).toEqual([1, 2, 3, 4]);
  expect(ended.length).toBe(1);
  await rethrown();
  expect(reported.length).toBe(4);
  expect(connection.status.health).toBe('up');
  await world.clock.until(connection.close());
});
