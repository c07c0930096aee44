import { readFileSync } from 'node:fs';
import { Test } from '@nestjs/testing';
import { filter, firstValueFrom, take, toArray } from 'rxjs';
import {
  appRole,
  CredentialsService,
  getCredentialsToken,
  VAULT_MODULE_OPTIONS,
  type VaultOptions,
} from 'nestjs-vault';
import { fixedCredentials } from 'nestjs-vault/testing';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { AppModule } from '../../sample/01-rotating-database/src/app.module.js';
import { OrdersRepository } from '../../sample/01-rotating-database/src/orders/orders.repository.js';
import { Applications } from '../support/applications.js';
import { HttpProxy } from '../support/http-proxy.js';
import { describeReal } from '../support/real-servers.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
  type Provisioned,
} from '../support/servers.mjs';

const file = (name: string) =>
  readFileSync(new URL(`../../sample/01-rotating-database/${name}`, import.meta.url), 'utf8');

describeReal('sample 01, a rotating database', () => {
  const apps = new Applications();
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;
  let role: Provisioned;

  beforeAll(async () => {
    [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
    proxy = await HttpProxy.start(bao.address);
    await postgres.query(file('setup.sql'));
    // A user that the server did not issue, as in the database of a CI job.
    await postgres.query(`create user ci with login password 'ci-password' in role orders_app`);
    const statements = {
      creationStatements: [file('creation.sql')],
      revocationStatements: [file('revocation.sql')],
    };
    role = await provision(bao, postgres, {
      roles: [
        { name: 'orders', defaultTtl: '2s', maxTtl: '3s', ...statements },
        { name: 'other', defaultTtl: '1m', maxTtl: '2m', ...statements },
      ],
      approleName: 'orders',
      policy: file('policy.hcl'),
      // Only the sample's own policy.
      approle: { token_no_default_policy: true, token_ttl: '2s', token_max_ttl: '4s' },
    });
    apps.guard(bao.rootToken, role.secretId);
  });

  afterAll(async () => {
    await proxy?.stop();
    await Promise.all([bao?.stop(), postgres?.stop()]);
  });

  beforeEach(() => {
    proxy.clear();
    for (const name of Object.keys(process.env)) if (/^(VAULT_|PG)/.test(name)) vi.stubEnv(name, undefined);
    vi.stubEnv('VAULT_ADDR', proxy.address);
    vi.stubEnv('VAULT_ROLE_ID', role.roleId);
    vi.stubEnv('VAULT_SECRET_ID', role.secretId);
    vi.stubEnv('PGHOST', postgres.host);
    vi.stubEnv('PGPORT', String(postgres.port));
    vi.stubEnv('PGDATABASE', postgres.database);
  });

  afterEach(async () => {
    apps.guardSeen(proxy);
    await apps.finish();
    vi.unstubAllEnvs();
  });

  it('its credentials are overridden by their token: its queries run, and the server issues nothing', async () => {
    const credentials$ = fixedCredentials({ username: 'ci', password: 'ci-password' });
    const app = await apps.start({ imports: [AppModule] }, (builder) =>
      builder.overrideProvider(getCredentialsToken('orders')).useValue(credentials$),
    );
    const orders = app.get(OrdersRepository, { strict: false });
    const placed = await orders.place({ item: 'tea', quantity: 2 });
    expect(await orders.recent()).toContainEqual(placed);
    expect(await orders.ship()).toMatchObject({ id: placed.id, state: 'shipped' });
    const { rows } = await postgres.query(
      `select usename from pg_stat_activity where application_name = 'orders'`,
    );
    expect(rows.length).toBeGreaterThan(0);
    expect(rows.every((row) => row['usename'] === 'ci')).toBe(true);

    credentials$.complete();
    await app.close();
    // Only requests for its token: login, renewal and revocation.
    expect(proxy.requests.filter((line) => !/ \/v1\/auth\//.test(line))).toEqual([]);
    expect([proxy.count(/login$/), proxy.count(/revoke-self$/)]).toEqual([1, 1]);
    expect(await usersInDatabase(postgres)).toEqual([]);
  });

  it('with the options overridden, too, it runs without any server', async () => {
    const options: VaultOptions = {
      address: 'http://127.0.0.1:1',
      auth: appRole({ roleId: 'none', secretId: 'none' }),
      startup: { login: 'deferred' },
    };
    const credentials$ = fixedCredentials({ username: 'ci', password: 'ci-password' });
    const app = await Test.createTestingModule({ imports: [AppModule] })
      .overrideProvider(VAULT_MODULE_OPTIONS)
      .useValue(options)
      .overrideProvider(getCredentialsToken('orders'))
      .useValue(credentials$)
      .compile();
    await app.init();
    await app.get(OrdersRepository, { strict: false }).place({ item: 'milk', quantity: 1 });
    credentials$.complete();
    await app.close();
    expect(proxy.requests).toEqual([]);
  });

  it('its policy is enough to start, renew, rotate, log in anew and shut down', async () => {
    const app = await apps.start({ imports: [AppModule] });
    const credentials = app.get(CredentialsService);
    const orders = app.get(OrdersRepository, { strict: false });
    const seen = firstValueFrom(
      credentials.events$.pipe(
        filter(({ type }) => type === 'login' || type === 'rotated'),
        take(4),
        toArray(),
      ),
    );
    let working = true;
    const load = (async () => {
      while (working) await orders.place({ item: 'tea', quantity: 1 });
    })();
    const types = (await seen).map(({ type }) => type);
    working = false;
    await load;
    expect(new Set(types)).toEqual(new Set(['login', 'rotated']));
    await app.close();
    const events = credentials.recentEvents;
    const happened = new Set(events.map(({ type }) => type));
    for (const type of ['issued', 'renewed', 'token-renewed', 'drained'] as const)
      expect(happened).toContain(type);
    // A missing right would show as a failure, or as a warning that renewals are denied. Warnings of TTLs of a few
    // seconds do not count.
    const trouble = events.filter(
      (event) =>
        'error' in event || (event.type === 'warning' && /does not allow renewals/.test(event.message)),
    );
    expect(trouble).toEqual([]);
    const ends = events.flatMap((event) => (event.type === 'token-ended' ? [event.how] : []));
    expect(ends).not.toContain('revoke-failed');
    // A token that has expired by the clock may still be valid, so it is revoked; an invalid one answers 403.
    const denied = proxy.seen.filter(({ status, url }) => status === 403 && !url.endsWith('revoke-self'));
    expect(denied).toEqual([]);
    await expect.poll(() => usersInDatabase(postgres), { timeout: 4_000 }).toEqual([]);
  });

  it('its policy allows nothing else', async () => {
    const login = await bao.api(
      'POST',
      'auth/approle/login',
      { role_id: role.roleId, secret_id: role.secretId },
      { token: '' },
    );
    const token = login.body.auth.client_token as string;
    expect(login.body.auth.policies).toEqual(['orders']);
    apps.guard(token);
    const status = async (method: string, path: string, body?: unknown) =>
      (await bao.api(method, path, body, { token })).status;

    expect(await status('GET', 'auth/token/lookup-self')).toBe(200);
    expect(await status('GET', 'database/creds/orders')).toBe(200);

    const denied: [method: string, path: string, body?: unknown][] = [
      ['GET', 'database/creds/other'],
      ['GET', 'database/creds/orders/more'],
      ['GET', 'database/static-creds/orders'],
      ['GET', 'database/config/postgres'],
      ['POST', 'database/config/postgres', { allowed_roles: ['*'] }],
      ['POST', 'database/rotate-root/postgres'],
      ['POST', 'database/reset/postgres'],
      ['GET', 'database/roles/orders'],
      ['POST', 'database/roles/orders', { db_name: 'postgres' }],
      ['DELETE', 'database/roles/orders'],
      ['LIST', 'database/roles'],
      ['GET', 'secret/data/app'],
      ['POST', 'secret/data/app', { data: {} }],
      ['LIST', 'secret/metadata'],
      ['GET', 'kv1/app'],
      ['GET', 'cubbyhole/mine'],
      ['GET', 'sys/mounts'],
      ['POST', 'sys/mounts/mine', { type: 'kv' }],
      ['GET', 'sys/auth'],
      ['POST', 'sys/auth/mine', { type: 'userpass' }],
      ['GET', 'sys/policies/acl/orders'],
      ['PUT', 'sys/policies/acl/orders', { policy: 'path "*" { capabilities = ["sudo"] }' }],
      ['LIST', 'sys/leases/lookup/database/creds/orders'],
      ['POST', 'sys/leases/revoke', { lease_id: 'database/creds/other/none' }],
      ['POST', 'sys/leases/revoke-prefix/database/creds', {}],
      ['POST', 'sys/leases/revoke-force/database/creds', {}],
      ['GET', 'sys/audit'],
      ['PUT', 'sys/seal'],
      ['POST', 'sys/wrapping/wrap', { a: 1 }],
      ['POST', 'auth/token/create', {}],
      ['POST', 'auth/token/create-orphan', {}],
      ['POST', 'auth/token/renew', { token }],
      ['POST', 'auth/token/revoke', { token }],
      ['POST', 'auth/token/lookup', { token }],
      ['LIST', 'auth/token/accessors'],
      ['GET', 'auth/approle/role/orders'],
      ['POST', 'auth/approle/role/orders', { token_policies: ['root'] }],
      ['POST', 'auth/approle/role/orders/secret-id', {}],
      ['LIST', 'identity/entity/id'],
    ];
    const answers = await Promise.all(
      denied.map(async ([method, path, body]) => `${await status(method, path, body)} ${method} ${path}`),
    );
    expect(answers).toEqual(denied.map(([method, path]) => `403 ${method} ${path}`));
    await bao.api('POST', 'auth/token/revoke-self', {}, { token });
  });
});
