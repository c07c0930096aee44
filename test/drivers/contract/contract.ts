import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { PoolCounters, PoolEvent, PoolStatus, UserCredentials } from 'nestjs-vault';
import { map, ReplaySubject, type Observable } from 'rxjs';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { toUserCredentials, type UserData } from '../../../lib/leases/user-credentials.js';
import { AlteredVault } from '../../support/altered-vault.js';
import { issueByHand, Load } from '../../support/driver-load.js';
import { failure, type Issued } from '../../support/issued.js';
import { TITLES, type Title } from './titles.js';

/** A server with users, for one family of drivers. */
export interface ContractServer {
  /** The statements of a role, with `{{name}}` and `{{password}}`; `run` understands them. */
  readonly creation: readonly string[];
  readonly password: readonly string[];
  readonly revocation: readonly string[];
  /** Ends the sessions of a user. */
  readonly disconnect: string;
  /** Sessions of a dropped user keep their privileges, so that nobody notices. */
  readonly sessionsOutliveUser?: boolean;
  run(statement: string): Promise<unknown>;
  exists(user: string): Promise<boolean>;
  /** Number of open connections of a user. */
  connections(user: string): Promise<number>;
  stop(): Promise<void>;
}

/** A pool, or a library on one. */
export interface OpenedPool {
  /** The user that is logged in. Where a server cannot tell, it checks `expected`. */
  whoami(expected?: string): Promise<string | undefined>;
  /** Occupies a connection until `finish()`, which rejects if the connection was closed before. */
  work(): Promise<{ finish(): Promise<unknown> }>;
  /** Ends all that was opened. */
  end(): Promise<unknown>;
  counters?: () => PoolCounters;
  /** Objects that an application might print. */
  printed: unknown[];
}

export interface Adapter {
  /** Row of the table. */
  name: string;
  /** In the status. */
  driver: string;
  /** Opens a pool, and resolves when it is ready. `own` adds a user and a password to the config. */
  open(
    credentials$: Observable<UserCredentials>,
    options: { drain: number; onRotation: (event: PoolEvent) => void; own?: string },
  ): Promise<OpenedPool>;
  /** Titles that cannot hold, and why. */
  notApplicable?: Partial<Record<Title, string>>;
  /** The driver repeats work that was cut off. */
  repeats?: boolean;
  /** The library wraps the error of a refused first login. */
  wrapsRejection?: boolean;
  /** Its server cannot serve several tests at a time. */
  alone?: boolean;
}

const PATH = 'database/creds/app';
const fill = (statement: string, { user, password }: { user: string; password: string }) =>
  statement.replaceAll('{{name}}', user).replaceAll('{{password}}', password);
const until = (holds: () => unknown, timeout = 12_000) => vi.waitFor(holds, { timeout, interval: 20 });

/** What every rotating pool does, whatever its driver. */
export function poolContract(adapter: Adapter, serverOf: () => ContractServer): void {
  const open$: ReplaySubject<UserCredentials>[] = [];
  afterEach(() => void (adapter.alone && open$.splice(0).forEach((one) => one.complete())));

  const run = async (statements: readonly string[], one: { user: string; password: string }) => {
    for (const statement of statements) await serverOf().run(fill(statement, one));
  };
  const issue = async ({
    make = true,
    of: before,
  }: { make?: boolean; of?: Issued } = {}): Promise<Issued> => {
    const { creation, password } = serverOf();
    const next = issueByHand(PATH);
    const one = before
      ? {
          ...next,
          user: before.user,
          credentials: { ...next.credentials, username: before.credentials.username },
        }
      : next;
    if (make) await run(before ? password : creation, one);
    // The counts of holds are those of the original.
    return Object.assign(next, { user: one.user, credentials: one.credentials });
  };

  const prepare = (drain = 5_000) => {
    const events: PoolEvent[] = [];
    const credentials$ = new ReplaySubject<UserCredentials>(1);
    open$.push(credentials$);
    const onRotation = (event: PoolEvent) => void events.push(event);
    const types = () => events.map(({ type }) => type);
    const rotate = async (next: Issued) => {
      credentials$.next(next.credentials);
      const { serial } = next.credentials.lease;
      await until(() =>
        expect(events.some((event) => event.type === 'rotated' && event.serial === serial)).toBe(true),
      );
    };
    return {
      events,
      types,
      credentials$,
      rotate,
      open: () => adapter.open(credentials$, { drain, onRotation }),
    };
  };
  const start = async (drain?: number) => {
    const prepared = prepare(drain);
    const first = await issue();
    prepared.credentials$.next(first.credentials);
    return { ...prepared, first, pool: await prepared.open() };
  };

  /** A pool on the leases of a simulated server that makes real users. */
  const leased = async () => {
    const server = serverOf();
    const world = new AlteredVault({ sql: (statement) => server.run(statement) });
    const { connection } = await world.live({ ttl: 3_600, maxTtl: 3_600 });
    world.vault.databaseRole('app', {
      defaultTtl: 3_600,
      maxTtl: 3_600,
      creationStatements: [...server.creation],
      revocationStatements: [...server.revocation],
    });
    const credentials$ = connection.leases.watch<UserData>(PATH, false).pipe(map(toUserCredentials));
    await world.clock.until(connection.leases.get(PATH));
    // Without clock.until(), which would pass the life of the lease while the driver connects.
    const pool = await adapter.open(credentials$, {
      drain: 30_000,
      onRotation: () => undefined,
    });
    const status = () => connection.status.pools[0] as PoolStatus;
    const user = () => connection.leases.current<UserData>(PATH)?.data.reveal().username as string;
    let ended: Promise<unknown> | undefined;
    const end = () => (ended ??= pool.end());
    const close = async () => {
      await world.clock.until(end());
      await world.clock.until(connection.close());
    };
    return { server, world, connection, pool, status, user, end, close };
  };

  const contract: Record<Title, () => Promise<void>> = {
    async follows() {
      const { pool, first, rotate, types } = await start(2_000);
      const load = new Load(() => pool.whoami(), 10);
      const work = async () => {
        const begun = await pool.work();
        await sleep(150);
        await begun.finish();
      };
      const works = new Load(work, 300);
      if (adapter.notApplicable?.drains !== undefined) await works.stop();
      const [second, third] = [await issue(), await issue()];
      for (const next of [second, third]) {
        await rotate(next);
        await sleep(400);
      }
      await Promise.all([load.stop(), works.stop()]);
      expect([...load.failures, ...works.failures]).toEqual([]);
      expect(types()).toEqual(['rotated', 'rotated']);
      expect(load.succeeded).toBeGreaterThan(5);
      await until(async () => expect(await pool.whoami(third.user)).toBe(third.user));
      await until(() => expect([first.holds, second.holds, third.holds]).toEqual([0, 0, 1]));
      for (const { user } of [first, second])
        await until(async () => expect(await serverOf().connections(user)).toBe(0));
      await pool.end();
    },
    async drains() {
      const { pool, first, rotate, types } = await start();
      const work = await pool.work();
      await rotate(await issue());
      expect(first.holds).toBe(1);
      await work.finish();
      await until(() => expect(first.holds).toBe(0));
      expect(types()).toEqual(['rotated']);
      await pool.end();
    },
    async closes() {
      const { pool, first, rotate, events } = await start(200);
      const work = await pool.work();
      const next = await issue();
      await rotate(next);
      await until(() => expect(first.holds).toBe(0));
      const { serial } = first.credentials.lease;
      expect(first.need?.drain).toBe(200);
      expect(events).toMatchObject([{ type: 'rotated' }, { type: 'drain-timeout', serial, count: 1 }]);
      if (pool.counters) expect(pool.counters()).toMatchObject({ rotated: 1, 'drain-timeout': 1 });
      const error = await failure(work.finish());
      if (adapter.repeats) expect(error).toBeUndefined();
      else expect(error).toBeInstanceOf(Error);
      expect(await pool.whoami(next.user)).toBe(next.user);
      await pool.end();
    },
    async refused() {
      const { pool, first, credentials$, types } = await start();
      const wrong = await issue({ make: false });
      credentials$.next(wrong.credentials);
      await until(() => expect(types()).toEqual(['refused']));
      expect(wrong).toMatchObject({ holds: 0, refused: [true] });
      expect(await pool.whoami(first.user)).toBe(first.user);
      await pool.end();
    },
    async late() {
      const { pool, first, credentials$, types } = await start();
      const late = await issue({ make: false });
      credentials$.next(late.credentials);
      expect(await pool.whoami(first.user)).toBe(first.user);
      // A replica learns of a user a moment later than the primary.
      await run(serverOf().creation, late);
      await until(async () => {
        await pool.whoami();
        expect(types()).toEqual(['rotated']);
      });
      await until(async () => expect(await pool.whoami(late.user)).toBe(late.user));
      expect(late).toMatchObject({ holds: 1, refused: [] });
      await pool.end();
    },
    async dropped() {
      const { server, world, pool, status, user, close } = await leased();
      const before = user();
      const { disconnect, revocation } = server;
      await run(server.sessionsOutliveUser ? [disconnect, ...revocation] : revocation, {
        user: before,
        password: '',
      });
      let works = false;
      for (let tries = 0; tries < 100 && !works; tries++) {
        await world.clock.advance(250);
        works = await Promise.race([pool.whoami(user()), sleep(200)]).then(
          (name) => name !== undefined && name !== before,
          () => false,
        );
      }
      expect(works).toBe(true);
      expect(status()).toMatchObject({ serial: 2 });
      const now = user();
      expect(now).not.toBe(before);
      // No connection of the dropped user is lent again.
      const users = await Promise.all(Array.from({ length: 8 }, () => pool.whoami(now)));
      expect(new Set(users)).toEqual(new Set([now]));
      await close();
    },
    async password() {
      const { pool, first, rotate, types } = await start(3_000);
      // Connections that are opened between the change and its announcement are refused by any server.
      await Promise.all([1, 2, 3, 4].map(() => pool.whoami()));
      const work = await pool.work();
      const load = new Load(() => pool.whoami(), 10);
      await rotate(await issue({ of: first }));
      await sleep(200);
      await load.stop();
      expect(load.failures).toEqual([]);
      await work.finish();
      // Only logins use the password.
      await run([serverOf().disconnect], first);
      await until(async () => expect(await pool.whoami(first.user)).toBe(first.user));
      expect(types()).toEqual(['rotated']);
      await pool.end();
    },
    async breaks() {
      const { pool, first, types } = await start();
      const [idle, used] = [await pool.work(), await pool.work()];
      await idle.finish();
      await run([serverOf().disconnect], first);
      const error = await failure(used.finish());
      if (adapter.repeats) expect(error).toBeUndefined();
      else expect(error).toBeInstanceOf(Error);
      expect(await pool.whoami(first.user)).toBe(first.user);
      expect(types()).toEqual([]);
      await pool.end();
    },
    async waits() {
      const { credentials$, open } = prepare();
      const opening = open();
      expect(await Promise.race([opening, sleep(100, 'waits')])).toBe('waits');
      const first = await issue();
      credentials$.next(first.credentials);
      const pool = await opening;
      expect(await pool.whoami(first.user)).toBe(first.user);
      await pool.end();
    },
    async rejects() {
      const { credentials$, open } = prepare();
      const wrong = await issue({ make: false });
      credentials$.next(wrong.credentials);
      const error = await failure(open());
      expect(error).toBeInstanceOf(Error);
      if (!adapter.wrapsRejection)
        expect(error).toMatchObject({ code: 'VAULT_CREDENTIALS_REJECTED', path: PATH });
      expect(inspect(error, { depth: 9 })).not.toContain(wrong.password);
      // A library that hides the cause goes on with its pool.
      if (adapter.wrapsRejection) credentials$.complete();
      await until(() => expect([wrong.holds, credentials$.observed]).toEqual([0, false]));
    },
    async own() {
      const { credentials$ } = prepare();
      const first = await issue();
      credentials$.next(first.credentials);
      const own = 'canary-of-the-config';
      // A function that throws at once counts, too.
      const opening = async () =>
        adapter.open(credentials$, { drain: 100, onRotation: () => undefined, own });
      const error = await failure(opening());
      expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
      expect(inspect(error, { depth: 9 })).not.toContain(own);
    },
    async finishes() {
      const { pool, first, credentials$, types } = await start();
      const work = await pool.work();
      credentials$.complete();
      await sleep(50);
      await work.finish();
      await until(() => expect(first.holds).toBe(0));
      await until(async () => expect(await serverOf().connections(first.user)).toBe(0));
      const later = pool.whoami().then(
        () => 'works',
        () => 'fails',
      );
      expect(await Promise.race([later, sleep(300, 'waits')])).not.toBe('works');
      expect(types()).toEqual([]);
      await failure(pool.end());
    },
    async ends() {
      const { pool, first, credentials$ } = await start();
      await until(async () => expect(await serverOf().connections(first.user)).toBeGreaterThan(0));
      await pool.end();
      await until(() => expect(first.holds).toBe(0));
      expect(credentials$.observed).toBe(false);
      await until(async () => expect(await serverOf().connections(first.user)).toBe(0));
    },
    async listed() {
      const { server, connection, pool, status, user, end, close } = await leased();
      await pool.whoami(user());
      const name = user();
      expect(status()).toMatchObject({
        driver: adapter.driver,
        path: PATH,
        serial: 1,
        superseded: 0,
        drains: [],
      });
      expect(status().connections).toBeGreaterThan(0);
      await end();
      await until(() => expect(connection.status.pools).toEqual([]));
      await close();
      await until(async () => expect(await server.exists(name)).toBe(false));
    },
    async clock() {
      const { server, world, pool, status, user, close } = await leased();
      const before = user();
      const work = await pool.work();
      while (status().serial === 1) await world.clock.advance(10_000);
      const [drain] = status().drains;
      const end = +(drain?.until as Date);
      expect(end - world.clock.wall()).toBeGreaterThan(19_000);
      await world.clock.advance(end - world.clock.wall() - 1_000);
      expect(await server.exists(before)).toBe(true);
      expect(status()).toMatchObject({ drains: [{ serial: 1 }] });
      await world.clock.advance(1_000);
      // Sockets close in real time, and Vault ends the lease a little later.
      for (let tries = 0; tries < 100 && (await server.exists(before)); tries++) {
        await sleep(20);
        await world.clock.advance(5_000);
      }
      expect(await server.exists(before)).toBe(false);
      expect(status().drains).toEqual([]);
      await failure(work.finish());
      await close();
    },
    async secret() {
      const { pool, first } = await start();
      await pool.whoami();
      for (const one of pool.printed) expect(inspect(one, { depth: 9 })).not.toContain(first.password);
      await pool.end();
    },
  };

  describe(adapter.name, () => {
    const test = adapter.alone ? it : it.concurrent;
    for (const [title, run] of Object.entries(contract) as [Title, () => Promise<void>][]) {
      const reason = adapter.notApplicable?.[title];
      test(TITLES[title], async ({ skip }) => {
        if (reason !== undefined) skip(reason);
        await run();
      });
    }
  });
}
