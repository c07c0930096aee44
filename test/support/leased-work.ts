import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import type { TestingModule } from '@nestjs/testing';
import type { Client, Pool } from 'pg';
import { filter } from 'rxjs';
import { CredentialsService } from 'nestjs-vault';
import { expect } from 'vitest';
import { eventually, type LeasedPostgres } from './leased-postgres.js';

/** Milliseconds, for the pools of these tests: longer than the longest transaction. */
export const DRAIN = 3_000;

function rotations(app: TestingModule): number {
  return app.get(CredentialsService).recentEvents.filter(({ type }) => type === 'rotated').length;
}

/** The calls of a load; a transaction awaits `work`, which takes 0.2 to 1.5 s. */
export interface Work {
  query: () => Promise<unknown>;
  transaction: (work: () => Promise<void>) => Promise<unknown>;
}

/** The calls of a load on a pool of pg. */
export function poolWork(pool: Pool): Work {
  return {
    query: () => pool.query(`insert into orders (item) values ('tea')`),
    transaction: async (wait) => {
      const client = await pool.connect();
      try {
        await client.query('begin');
        await client.query(`insert into orders (item) values ('milk')`);
        await wait();
        await client.query('commit');
      } finally {
        client.release();
      }
    },
  };
}

/** Runs a query every 40 ms and two transactions at a time, until stopped. */
function load({ query, transaction }: Work, note: (text: string) => void) {
  const done = { queries: 0, transactions: 0, failures: [] as { at: number; code: string | undefined }[] };
  let running = true;
  const fail = (error: unknown) => {
    done.failures.push({ at: performance.now(), code: codeOf(error) });
    note(inspect(error, { depth: 6 }));
  };
  const pending = new Set<Promise<unknown>>();
  const querying = async () => {
    while (running) {
      const one = query().then(() => done.queries++, fail);
      pending.add(one);
      void one.finally(() => pending.delete(one));
      await sleep(40);
    }
    await Promise.all(pending);
  };
  const transacting = async () => {
    while (running) {
      const began = done.failures.length;
      await transaction(() => sleep(200 + Math.random() * 1_300)).then(() => done.transactions++, fail);
      if (done.failures.length > began) await sleep(40);
    }
  };
  const all = Promise.all([querying(), transacting(), transacting()]);
  const stop = async () => {
    running = false;
    await all;
    return done;
  };
  return { done, stop };
}

const GONE = /connection (terminated|error)|not queryable|already released|connection closed/i;

/** The SQLSTATE: each library wraps the errors of pg in its own way, and Prisma has codes of its own. */
function codeOf(error: unknown): string | undefined {
  const known = (error ?? {}) as Record<string, unknown>;
  const isState = (code: unknown): code is string => typeof code === 'string' && /^(?!P2)\w{5}$/.test(code);
  const own = [known['originalCode'], known['code']].find(isState);
  if (own) return own;
  const inner = ['driverError', 'parent', 'meta', 'driverAdapterError', 'cause'].map((name) => known[name]);
  const code = inner
    .filter((one) => one && one !== error)
    .map(codeOf)
    .find((one) => one !== undefined);
  return code ?? (GONE.test(String(known['message'])) ? 'gone' : undefined);
}

interface Soaked {
  app: TestingModule;
  /** The stream of the credentials. */
  role: string;
  work: Work;
  /** The user that is logged in, as the library returns it. */
  whoami: () => Promise<string | undefined>;
  /** The object that an application might print. */
  printed?: unknown;
}

/**
 * 12 s of queries and transactions over leases of 4 s and at most 8 s: nothing fails, each user's connections are gone
 * soon after the drain window, and nothing is left after the application has closed.
 */
export async function soak(
  world: LeasedPostgres,
  { app, role, work, whoami, printed }: Soaked,
): Promise<void> {
  const leaving: Promise<number>[] = [];
  const events = app.get(CredentialsService).events$.pipe(filter(({ type }) => type === 'rotated'));
  const watching = events.subscribe(() => {
    const [before = ''] = world.usersOf(role).slice(-2);
    const at = performance.now();
    const gone = eventually(async () => expect(await world.connections(role)).not.toContain(before));
    leaving.push(gone.then(() => performance.now() - at));
  });
  const { stop } = load(work, (text) => world.apps.note(text));
  await sleep(12_000);
  const { failures, ...done } = await stop();
  watching.unsubscribe();
  const longest = Math.max(...(await Promise.all(leaving)));
  const now = await whoami();
  await eventually(async () => expect(new Set(await world.connections(role))).toEqual(new Set([now])));
  world.apps.note(inspect(printed, { depth: 5 }));
  const count = rotations(app);
  show(role, { rotations: count, ...done, failures: failures.length, longest: Math.round(longest) });
  await app.close();
  expect(failures).toEqual([]);
  expect(count).toBeGreaterThanOrEqual(2);
  expect(longest).toBeLessThan(DRAIN + 1_000);
  await world.expectGone(role);
}

/** An operator revokes the lease of a working application: queries of that user fail until the next credentials. */
export async function revoked(
  world: LeasedPostgres,
  { app, role, work, whoami }: Soaked,
  expected = ['42501', 'gone'],
): Promise<void> {
  const { stop } = load(work, (text) => world.apps.note(text));
  await sleep(1_000);
  const before = await whoami();
  await world.revoke(role);
  const at = performance.now();
  await eventually(() => expect(rotations(app)).toBe(1));
  const rotated = performance.now() - at;
  await sleep(2_500);
  const { failures, ...done } = await stop();
  const last = Math.max(0, ...failures.map((one) => one.at - at));
  const codes = [...new Set(failures.map(({ code }) => code))];
  show(role, { ...done, failures: failures.length, codes, rotated, last });
  expect(codes.filter((code) => !expected.includes(code ?? 'unknown'))).toEqual([]);
  // An open transaction fails at its next statement; if the connection was closed first, there is no error to see.
  expect(last).toBeLessThan(rotated + 2_000);
  expect(await whoami()).not.toBe(before);
  await app.close();
  await world.expectGone(role);
}

/** A static role: one user whose password the server changes every 5 s; new connections must keep up. */
export async function staticRole(
  world: LeasedPostgres,
  { app, work, whoami }: Omit<Soaked, 'role'>,
): Promise<void> {
  const { stop } = load(work, (text) => world.apps.note(text));
  await eventually(() => expect(rotations(app)).toBeGreaterThanOrEqual(2), 30_000);
  const { failures, ...done } = await stop();
  show('static', { rotations: rotations(app), ...done, failures: failures.length });
  expect(await whoami()).toBe('rotated');
  expect(failures).toEqual([]);
  await app.close();
}

/** A connection that a caller keeps is marked with its closing time; it keeps its user until the caller releases it. */
export async function isNotifiedInTime(
  world: LeasedPostgres,
  { app, role, whoami }: Omit<Soaked, 'work'>,
  acquire: () => Promise<Client>,
  release: (connection: Client) => unknown,
): Promise<void> {
  const before = await whoami();
  const connection = await acquire();
  const [until] = (await once(connection, 'superseded')) as [Date];
  const left = until.getTime() - Date.now();
  expect(left).toBeGreaterThan(DRAIN - 1_000);
  expect(left).toBeLessThanOrEqual(DRAIN);
  const { rows } = await connection.query<{ name: string }>('select current_user as name');
  expect(rows).toEqual([{ name: before }]);
  await release(connection);
  await eventually(async () => expect(await world.connections(role)).not.toContain(before));
  await app.close();
  await world.expectGone(role);
}

/**
 * A query that sleeps for half a minute is cancelled where it runs, on a connection made for that, when its signal is
 * aborted.
 */
export async function aborted(
  world: LeasedPostgres,
  { app, role, whoami }: Omit<Soaked, 'work'>,
  sleepy: (options: object) => Promise<unknown>,
): Promise<void> {
  const user = await whoami();
  const active = `select 1 from pg_stat_activity where usename = $1 and state = 'active'`;
  const running = async () => (await world.postgres.query(active, [user])).rowCount;
  const abort = new AbortController();
  const options = { signal: abort.signal, inflightQueryAbortStrategy: 'cancel query' };
  const failed = expect(sleepy(options)).rejects.toThrow();
  await eventually(async () => expect(await running()).toBe(1));
  abort.abort();
  await failed;
  await eventually(async () => expect(await running()).toBe(0));
  await app.close();
  await world.expectGone(role);
}

/** The figures of a test, for people: SHOW=1. */
function show(name: string, figures: object): void {
  if (process.env['SHOW']) process.stderr.write(`${name}: ${JSON.stringify(figures)}\n`);
}
