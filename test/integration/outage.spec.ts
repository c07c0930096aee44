import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { firstValueFrom, map } from 'rxjs';
import { appRole, type VaultEvent } from 'nestjs-vault';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus } from '../../lib/events/events.js';
import { toUserCredentials } from '../../lib/leases/user-credentials.js';
import { HttpProxy } from '../support/http-proxy.js';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';

const POLICY = 'path "database/creds/*" { capabilities = ["read"] }';

describeReal('faults during operation', () => {
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao({ storage: 'raft' }), startPostgres()]);
    proxy = await HttpProxy.start(bao.address);
  });

  afterAll(async () => {
    await Promise.all([proxy?.stop(), bao?.stop(), postgres?.stop()]);
  });

  /** A connection with a pool, and their events. */
  async function start(ttl: string, token: string) {
    const { roleId, secretId } = await provision(bao, postgres, {
      roles: [{ name: 'app', defaultTtl: ttl, maxTtl: '10m' }],
      policy: POLICY,
      approle: { token_ttl: token, token_max_ttl: '10m' },
    });
    proxy.clear();
    const bus = new EventBus();
    const events: VaultEvent[] = [];
    bus.events$.subscribe((event) => events.push(event));
    const options = resolveOptions({
      address: proxy.address,
      auth: appRole({ roleId, secretId }),
      timeout: 2_000,
    });
    const connection = new VaultConnection(options, bus);
    await connection.login();
    const { host, port, database } = postgres;
    const credentials$ = connection.leases
      .watch<{ username: string; password: string }>('database/creds/app', false)
      .pipe(map(toUserCredentials));
    const streamErrors: unknown[] = [];
    credentials$.subscribe({ error: (error) => streamErrors.push(error) });
    // Short, so that leases of a few seconds leave enough time, and are renewed as usual.
    const pool = await createRotatingPgPool(credentials$, { host, port, database, max: 3, drain: 1_000 });
    const until = (type: VaultEvent['type'], timeout = 20_000) =>
      expect.poll(() => events.filter((event) => event.type === type).length, { timeout }).toBeGreaterThan(0);
    return { connection, events, pool, streamErrors, until, credentials$ };
  }

  it('the server is down for 6 s: no query fails, the status reports it, and no burst of requests follows', async () => {
    const { connection, events, streamErrors, until } = await start('20s', '10m');
    const failures: unknown[] = [];
    let queries = 0;
    const load = setInterval(() => {
      queries++;
      // A new connection each time, so that the password is used.
      const { host, port, database } = postgres;
      const path = 'database/creds/app';
      const current = connection.leases.current<{ username: string; password: string }>(path);
      const { username: user, password } = current!.data.reveal();
      const client = new pg.Client({ user, password, host, port, database });
      client.connect().then(
        () => client.query('select 1').finally(() => client.end()),
        (error: unknown) => failures.push(error),
      );
    }, 200);
    const states = new Set<string>();
    const watching = connection.changes$.subscribe(() =>
      states.add(connection.status.leases[0]?.state ?? 'none'),
    );

    // Down for 6 s from before the first renewal (12 to 14 s).
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    await bao.kill();
    const down = new Promise((resolve) => setTimeout(resolve, 6_000));
    await until('renewal-failed', 6_000);
    await down;
    proxy.clear();
    await bao.restart();
    await until('renewed');
    clearInterval(load);
    // Status changes are emitted with pauses between them, longer ones on a busy machine.
    await expect
      .poll(() => [...states], { timeout: 6_000 })
      .toEqual(expect.arrayContaining(['valid', 'degraded']));
    watching.unsubscribe();

    expect(failures).toEqual([]);
    expect(queries).toBeGreaterThan(50);
    expect(streamErrors).toEqual([]);
    const failed = events.find((event) => event.type === 'renewal-failed');
    expect(failed).toMatchObject({ error: { code: expect.stringMatching(/UNREACHABLE|STANDBY|SEALED/) } });
    expect(proxy.requests.filter((line) => line !== 'POST /v1/sys/leases/renew')).toEqual([]);
    expect(proxy.seen.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(proxy.seen.length).toBeLessThan(4);
    expect(connection.status).toMatchObject({
      session: { state: 'valid' },
      leases: [{ state: 'valid', attempt: 0 }],
    });
    await connection.close();
  }, 60_000);

  it('an operator revokes the token: a new login, every lease anew, the pool works on', async () => {
    const { connection, events, pool, until } = await start('6s', '6s');
    const { body } = await bao.api('LIST', 'auth/token/accessors');
    for (const accessor of body.data.keys as string[]) {
      const { body: found } = await bao.api('POST', 'auth/token/lookup-accessor', { accessor });
      if (found.data.path === 'auth/approle/login')
        await bao.api('POST', 'auth/token/revoke-accessor', { accessor });
    }
    await until('rotated');
    expect(events.find((event) => event.type === 'login' && event.sequence === 2)).toMatchObject({
      reason: 'token-lost',
    });
    await expect(pool.query('select 1')).resolves.toBeTruthy();
    expect(proxy.count(/approle\/login/)).toBe(2);
    expect(proxy.count(/creds\/app/)).toBe(2);
    await connection.close();
  }, 30_000);

  it('an operator revokes the lease: the next renewal fails, and a new lease is issued', async () => {
    const { connection, pool, until, credentials$ } = await start('6s', '10m');
    const first = await firstValueFrom(credentials$);
    await bao.api('PUT', 'sys/leases/revoke-prefix/database/creds/app');
    await until('rotated');
    const second = await firstValueFrom(credentials$);
    expect(second.username.reveal()).not.toBe(first.username.reveal());
    // The pool verifies the credentials first; until then its connections belong to a removed user.
    const user = () =>
      pool.query<{ name: string }>('select current_user as name').then(
        ({ rows }) => rows[0]?.name,
        () => undefined,
      );
    await expect.poll(user).toBe(second.username.reveal());
    expect(proxy.count(/creds\/app/)).toBe(2);
    await connection.close();
  }, 30_000);

  it('a policy without the right to renew: leases are issued anew in time, and a warning says so', async () => {
    const { connection, events, until } = await start('6s', '10m');
    await bao.api('PUT', 'sys/policies/acl/default', {
      policy: 'path "auth/token/lookup-self" { capabilities = ["read"] }',
    });
    await until('rotated');
    expect(events.find((event) => event.type === 'rotated')).toMatchObject({ reason: 'not-renewable' });
    expect(events.find((event) => event.type === 'warning')).toMatchObject({ path: 'database/creds/app' });
    expect(events.some((event) => event.type === 'expired')).toBe(false);
    expect(proxy.count(/leases\/renew/)).toBe(1);
    await connection.close();
  }, 30_000);
});
