import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import pg from 'pg';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { describeReal } from './real-servers.js';
import type { OpenBaoServer, PostgresServer, TcpProxy } from './servers.mjs';
import { provision, startOpenBao, startPostgres, startTcpProxy, usersInDatabase } from './servers.mjs';

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

async function logIn(
  server: { port: number },
  user: string,
  password: string,
  sql = 'SELECT current_user AS name',
) {
  const client = new pg.Client({ host: '127.0.0.1', port: server.port, database: 'app', user, password });
  await client.connect();
  try {
    return (await client.query(sql)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
}

describeReal('real servers', () => {
  let bao: OpenBaoServer;
  let db: PostgresServer;

  beforeAll(async () => {
    [bao, db] = await Promise.all([startOpenBao(), startPostgres()]);
    await db.query('CREATE TABLE notes (id serial PRIMARY KEY, text text)');
  });
  afterAll(async () => {
    await Promise.all([bao?.stop(), db?.stop()]);
  });

  it('refuses a wrong password, and a user without one, over 127.0.0.1', async () => {
    await expect(logIn(db, db.superuser, 'wrong')).rejects.toMatchObject({ code: '28P01' });
    await expect(logIn(db, 'nobody-knows', db.password)).rejects.toMatchObject({ code: '28P01' });
    expect(await logIn(db, db.superuser, db.password)).toEqual([{ name: db.superuser }]);
  });

  it('issues database users that work, to a token of the AppRole', async () => {
    const { roleId, newWrappedSecretId } = await provision(bao, db, { approle: { token_ttl: '1m' } });
    const unwrapped = await bao.api('POST', 'sys/wrapping/unwrap', undefined, {
      token: await newWrappedSecretId('30s'),
    });
    const login = await bao.api(
      'POST',
      'auth/approle/login',
      { role_id: roleId, secret_id: unwrapped.body.data.secret_id },
      { token: '' },
    );
    const token: string = login.body.auth.client_token;
    expect(login.body.auth.lease_duration).toBe(60);

    const creds = await bao.api('GET', 'database/creds/app', undefined, { token });
    const { username, password } = creds.body.data;
    expect(creds.body.lease_duration).toBe(5);
    expect(
      await logIn(db, username, password, "INSERT INTO notes (text) VALUES ('a') RETURNING text"),
    ).toEqual([{ text: 'a' }]);
    expect(await usersInDatabase(db)).toContain(username);

    await bao.api('PUT', 'sys/leases/revoke', { lease_id: creds.body.lease_id, sync: true });
    expect(await usersInDatabase(db)).not.toContain(username);
    await expect(logIn(db, username, password)).rejects.toMatchObject({ code: '28P01' });
  });

  it('issues many users at once', async () => {
    await provision(bao, db, { roles: [{ name: 'many', defaultTtl: '1m', maxTtl: '1m' }] });
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => bao.api('GET', 'database/creds/many')),
    );
    expect(answers.map((answer) => answer.status)).toEqual(Array(20).fill(200));
    await bao.api('PUT', 'sys/leases/revoke-prefix/database/creds/many', { sync: true });
    expect((await usersInDatabase(db)).filter((name) => name.includes('-many-'))).toEqual([]);
  });

  it('can be provisioned again, with KV of both versions', async () => {
    await provision(bao, undefined, { approleMount: 'second', approleName: 'other' });
    await bao.api('POST', 'secret/data/x', { data: { a: 1 } });
    await bao.api('POST', 'kv1/x', { a: 2 });
    expect((await bao.api('GET', 'secret/data/x')).body.data.data).toEqual({ a: 1 });
    expect((await bao.api('GET', 'kv1/x')).body.data).toEqual({ a: 2 });
  });

  it('pauses and resumes, PostgreSQL with its open connections', async () => {
    const client = new pg.Client(db.connectionString);
    await client.connect();
    await Promise.all([bao.pause(), db.pause()]);
    let answered = false;
    const query = client.query('SELECT 1').then(() => (answered = true));
    const health = bao.api('GET', 'sys/health').then(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(answered).toBe(false);
    await Promise.all([bao.resume(), db.resume()]);
    await Promise.all([query, health]);
    await client.end();
  });

  it('reports the output of a server that does not start', async () => {
    await expect(startOpenBao({ port: bao.port })).rejects.toThrow(/address already in use/);
    await expect(startPostgres({ port: db.port })).rejects.toThrow(/could not bind|already in use/i);
  });

  it('keeps PostgreSQL data after a crash', async () => {
    await db.query("INSERT INTO notes (text) VALUES ('kept')");
    const before = db.pid;
    await db.kill();
    expect(alive(before)).toBe(false);
    await expect(db.query('SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await db.restart();
    expect(db.pid).not.toBe(before);
    expect((await db.query("SELECT text FROM notes WHERE text = 'kept'")).rowCount).toBe(1);
  });

  it('keeps secrets, leases and database users of a raft server after a crash and a restart', async () => {
    const raft = await startOpenBao({ storage: 'raft' });
    try {
      await provision(raft, db, { roles: [{ name: 'long', defaultTtl: '1h', maxTtl: '2h' }] });
      await raft.api('POST', 'secret/data/kept', { data: { a: 1 } });
      const { lease_id: lease, data } = (await raft.api('GET', 'database/creds/long')).body;

      const before = raft.pid;
      await raft.kill();
      await expect(raft.api('GET', 'sys/health')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      await raft.restart();
      expect(raft.pid).not.toBe(before);
      await raft.restart({ graceful: true });

      expect((await raft.api('GET', 'secret/data/kept')).body.data.data).toEqual({ a: 1 });
      expect((await raft.api('PUT', 'sys/leases/renew', { lease_id: lease })).body.lease_duration).toBe(3600);
      expect(await logIn(db, data.username, data.password)).toEqual([{ name: data.username }]);
      await raft.api('PUT', 'sys/leases/revoke', { lease_id: lease, sync: true });
      expect(await usersInDatabase(db)).not.toContain(data.username);
    } finally {
      await raft.stop();
    }
  });
});

describeReal('keeper', () => {
  const script = `
    import { startOpenBao, startPostgres } from ${JSON.stringify(new URL('./servers.mjs', import.meta.url).href)};
    const [bao, pg] = await Promise.all([startOpenBao(), startPostgres()]);
    const { rows } = await pg.query('SHOW data_directory');
    console.log(JSON.stringify({ pids: [bao.pid, pg.pid], folder: rows[0].data_directory }));
    if (process.argv[1] === 'wait') setInterval(() => {}, 1000);
  `;
  async function startParent(mode: string) {
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script, mode], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exited = new Promise<number | null>((resolve) => parent.once('exit', resolve));
    for await (const line of createInterface({ input: parent.stdout })) {
      return { parent, exited, ...(JSON.parse(line) as { pids: number[]; folder: string }) };
    }
    throw new Error('the parent ended without output');
  }
  const gone = (pids: number[], folder: string) =>
    vi.waitFor(() => expect([...pids.filter(alive), existsSync(folder)]).toEqual([false]), {
      timeout: 10_000,
    });

  it('ends the servers and removes their folders when the parent is killed', async () => {
    const { parent, pids, folder } = await startParent('wait');
    expect(pids.map(alive)).toEqual([true, true]);
    parent.kill('SIGKILL');
    await gone(pids, folder);
  });

  it('does not keep an idle parent alive', async () => {
    const { exited, pids, folder } = await startParent('end');
    expect(await exited).toBe(0);
    await gone(pids, folder);
  });
});

describeReal('tcp proxy', () => {
  let echo: net.Server;
  let proxy: TcpProxy;
  beforeAll(async () => {
    echo = net.createServer((socket) => socket.on('error', () => {}).pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    proxy = await startTcpProxy((echo.address() as net.AddressInfo).port);
  });
  afterAll(async () => {
    await proxy.close();
    echo.close();
  });

  const connect = () =>
    new Promise<net.Socket>((resolve, reject) => {
      const socket = net.connect(proxy.port, '127.0.0.1', () => resolve(socket));
      socket.on('error', reject);
    });
  const roundTrip = (socket: net.Socket) =>
    new Promise<number>((resolve) => {
      const start = performance.now();
      socket.once('data', () => resolve(performance.now() - start)).write('x');
    });

  it('forwards, delays, holds, cuts and restores', async () => {
    const first = await connect();
    await roundTrip(first);
    expect(proxy.connections).toBe(1);

    proxy.delay(200);
    expect(await roundTrip(first)).toBeGreaterThanOrEqual(390);

    const firstClosed = new Promise((resolve) => first.once('close', resolve));
    proxy.blackhole();
    const held = await connect();
    let heard = 0;
    held.on('data', () => heard++).write('x');
    first.on('data', () => heard++).write('x');
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(heard).toBe(0);

    await proxy.restore();
    await firstClosed;
    const second = await connect();
    expect(await roundTrip(second)).toBeLessThan(200);

    const secondClosed = new Promise((resolve) => second.once('close', resolve));
    await proxy.cut();
    await secondClosed;
    expect(proxy.connections).toBe(0);
    await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' });

    await proxy.restore();
    const third = await connect();
    await roundTrip(third);
    third.destroy();
  });
});
