import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { concat, NEVER, of, Subject, type Observable } from 'rxjs';
import { Secret, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingPgPool, RotatingPgPool, type RotatingPgPoolConfig } from 'nestjs-vault/pg';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { failureOf } from '../support/leaks.js';
import { startPostgres, type PostgresServer } from '../support/servers.mjs';

let serial = 0;

/** A snapshot made by hand, and its numbers of holds: all, and current. */
function issue(user: string, password: string) {
  const issued = { taken: 0, holds: 0, credentials: undefined as unknown as DatabaseCredentials };
  issued.credentials = {
    username: new Secret(user),
    password: new Secret(password),
    lease: {
      path: 'database/creds/app',
      serial: ++serial,
      tokenSequence: 1,
      issuedAt: new Date(),
      validUntil: new Date(Date.now() + 60_000),
      renewable: true,
      hold: () => {
        issued.taken++;
        issued.holds++;
        return () => void issued.holds--;
      },
    },
  };
  return issued;
}

describe('a pool that its user ends', () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres?.stop());

  const user = () => issue(postgres.superuser, postgres.password);
  const open = async (first: DatabaseCredentials, options: RotatingPgPoolConfig = {}) => {
    const credentials$ = new Subject<DatabaseCredentials>();
    const { host, port, database } = postgres;
    const config = { host, port, database, ...options };
    const pool = await createRotatingPgPool(concat(of(first), credentials$), config);
    return { pool, credentials$ };
  };

  it('keeps the hold until the last connection is released, and takes none afterwards', async () => {
    const first = user();
    const { pool, credentials$ } = await open(first.credentials);
    const client = await pool.connect();
    let ended = false;
    const ending = pool.end().then(() => (ended = true));
    const next = user();
    credentials$.next(next.credentials);
    await client.query('select 1');
    expect({ ended, holds: first.holds, next: next.taken }).toEqual({ ended: false, holds: 1, next: 0 });

    client.release();
    await ending;
    await expect.poll(() => first.holds).toBe(0);
    credentials$.next(next.credentials);
    expect({ first: first.taken, next: next.taken }).toEqual({ first: 1, next: 0 });
    expect(credentials$.observed).toBe(false);
  });

  it('releases the hold of a superseded connection in use, and that of the current one, each when its connections end', async () => {
    const [first, second] = [user(), user()];
    const { pool, credentials$ } = await open(first.credentials);
    const old = await pool.connect();
    const rotated = new Promise((resolve) => pool.once('rotation', resolve));
    credentials$.next(second.credentials);
    await rotated;
    const young = await pool.connect();
    const ending = pool.end();
    expect([first.holds, second.holds]).toEqual([1, 1]);
    young.release();
    await expect.poll(() => [first.holds, second.holds]).toEqual([1, 0]);
    await old.query('select 1');
    old.release();
    await expect.poll(() => first.holds).toBe(0);
    await ending;
  });

  it('an idle pool releases its hold at once', async () => {
    const first = user();
    const { pool } = await open(first.credentials);
    expect(first.holds).toBe(1);
    await pool.end();
    await expect.poll(() => first.holds).toBe(0);
  });

  it('a pool without connections keeps its hold until it is ended, as it may open another', async () => {
    const first = user();
    const { pool } = await open(first.credentials, { idleTimeoutMillis: 10 });
    await expect.poll(() => pool.totalCount).toBe(0);
    expect(first.holds).toBe(1);
    await pool.end();
    await expect.poll(() => first.holds).toBe(0);
  });
});

describe('a database that accepts connections and never answers', () => {
  const sockets = new Set<Socket>();
  let silent: Server;
  let port: number;

  beforeAll(async () => {
    silent = createServer((socket) => {
      sockets.add(socket);
      // Reads from the socket, so that the end of the client is noticed.
      socket
        .on('error', () => undefined)
        .on('close', () => sockets.delete(socket))
        .resume();
    });
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    ({ port } = silent.address() as AddressInfo);
  });
  afterAll(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  afterEach(() => void vi.useRealTimers());

  const nowhere = () => issue('nobody', 'canary-password');
  const connecting = () => expect.poll(() => sockets.size).toBe(1);
  const gone = () => expect.poll(() => sockets.size).toBe(0);

  it('the stream ends meanwhile: the error says so after the connection timeout, and nothing is left', async () => {
    const first = nowhere();
    const began = performance.now();
    const starting = createRotatingPgPool(of(first.credentials), {
      host: '127.0.0.1',
      port,
      connectionTimeoutMillis: 300,
    });
    const error = await failureOf(starting);
    expect(error).toMatchObject({ code: 'VAULT_CLOSED' });
    expect(performance.now() - began).toBeGreaterThan(250);
    await gone();
    expect(first.holds).toBe(0);
  });

  it('the stream ends later than the connection began', async () => {
    const first = nowhere();
    const end$ = new Subject<never>();
    const starting = createRotatingPgPool(concat(of(first.credentials), end$), {
      host: '127.0.0.1',
      port,
      connectionTimeoutMillis: 1_000,
    });
    const failed = failureOf(starting);
    await connecting();
    end$.complete();
    expect(await failed).toMatchObject({ code: 'VAULT_CLOSED' });
    await gone();
    expect(first.holds).toBe(0);
  });

  it.each<[string, object]>([
    ['says nothing', {}],
    ['says undefined', { connectionTimeoutMillis: undefined }],
    ['sets no timeout', { connectionTimeoutMillis: 0 }],
  ])('the first connection has a timeout even if the config %s', async (_what, config) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const [ended, lives] = [nowhere(), nowhere()];
    const outcomes: Record<string, unknown> = {};
    const start = (name: string, stream$: Observable<DatabaseCredentials>) =>
      void createRotatingPgPool(stream$, { host: '127.0.0.1', port, ...config }).then(
        () => (outcomes[name] = 'connected'),
        (error: unknown) => (outcomes[name] = error),
      );
    start('ended', of(ended.credentials));
    start('lives', concat(of(lives.credentials), NEVER));
    await vi.waitFor(() => expect(sockets.size).toBe(2));
    vi.advanceTimersByTime(9_000);
    expect(outcomes).toEqual({});
    vi.advanceTimersByTime(1_100);
    await vi.waitFor(() => expect(Object.keys(outcomes)).toHaveLength(2));
    expect(outcomes).toEqual({
      ended: expect.objectContaining({ code: 'VAULT_CLOSED' }) as Error,
      lives: expect.objectContaining({ message: expect.stringMatching(/timeout/) as string }) as Error,
    });
    await vi.waitFor(() => expect(sockets.size).toBe(0));
    expect([ended.holds, lives.holds]).toEqual([0, 0]);
  });

  it.each<[string, object]>([
    ['says nothing', {}],
    ['says undefined', { connectionTimeoutMillis: undefined }],
  ])('each later connection has a timeout, too, if the config %s', async (_what, config) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const { credentials } = nowhere();
    const pool = new RotatingPgPool(concat(of(credentials), NEVER), { host: '127.0.0.1', port, ...config });
    const failed = pool.connect().catch((error: unknown) => error);
    await vi.waitFor(() => expect(sockets.size).toBe(1));
    vi.advanceTimersByTime(10_100);
    expect(await failed).toMatchObject({ message: expect.stringMatching(/timeout/) as string });
    await pool.end();
  });
});
