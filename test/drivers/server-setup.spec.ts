import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable, Module, type OnModuleInit } from '@nestjs/common';
import {
  appRole,
  CredentialsService,
  fromFile,
  InjectCredentials,
  InjectSecret,
  VaultModule,
  type DatabaseCredentials,
  type Secret,
} from 'nestjs-vault';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { Client, type Pool } from 'pg';
import type { Observable } from 'rxjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { HttpProxy } from '../support/http-proxy.js';
import { eventually } from '../support/leased-postgres.js';
import { describeReal, REFUSED_SECRET_ID } from '../support/real-servers.js';
import {
  startOpenBao,
  startPostgres,
  unprivilegedUser,
  usersInDatabase,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';
import { blocksOf } from '../support/pages.mjs';
import { followSetUp } from '../support/set-up-page.mjs';
import { Thief } from '../support/thief.js';
import { commandsOf } from '../operated/runbook.js';

const blocks = blocksOf('docs/server-setup.md');
const leaked = blocksOf('docs/approle.md').filter(({ language }) => language === 'sh');

const PG = 'docs/databases/pg.md';

/** A statement of a page, by a part of its text. */
const sqlOf = (page: string, part: string) =>
  blocksOf(page).find(({ language, text }) => language === 'sql' && text.includes(part))!.text;

/** The server whose database the page makes. */
@Injectable()
class Orders implements OnModuleInit {
  pool!: Pool;
  static where: { host: string; port: number; database: string };

  constructor(
    @InjectCredentials('orders') private readonly credentials$: Observable<DatabaseCredentials>,
    @InjectSecret('payments', { key: 'apiKey' }) readonly apiKey: Secret,
  ) {}

  async onModuleInit() {
    this.pool = await createRotatingPgPool(this.credentials$, { ...Orders.where, drain: 500 });
  }

  readonly place = () => this.pool.query(`insert into orders (item) values ('tea')`);

  async user() {
    const { rows } = await this.pool.query<{ name: string }>('select session_user as name');
    return rows[0]?.name;
  }
}

describeReal('the page on the set-up of a server', () => {
  const apps = new Applications();
  const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-setup-'));
  let bao: OpenBaoServer;
  let postgres: PostgresServer;
  let proxy: HttpProxy;
  let page: Awaited<ReturnType<typeof followSetUp>>;

  const root = async (method: string, path: string, body?: object) => {
    const answer = await bao.api(method, path, body);
    expect([200, 204]).toContain(answer.status);
    return answer.body;
  };

  beforeAll(async () => {
    // Not a development server, which has a KV engine from the start.
    [bao, postgres] = await Promise.all([startOpenBao({ storage: 'raft' }), startPostgres()]);
    page = await followSetUp(bao, postgres, folder);
    proxy = await HttpProxy.start(bao.address);
    Orders.where = { host: postgres.host, port: postgres.port, database: postgres.database };
  });

  afterAll(async () => {
    try {
      if (proxy) apps.guardSeen(proxy);
      await apps.finish();
    } finally {
      await proxy?.stop();
      await Promise.all([bao?.stop(), postgres?.stop()]);
      rmSync(folder, { recursive: true, force: true });
    }
  });

  /** As in psql by a superuser: one session, and each statement is a transaction. */
  const psql = async (sql: string) => {
    const { host, port, database, superuser: user, password } = postgres;
    const superuser = new Client({ host, port, database, user, password });
    await superuser.connect();
    try {
      const rows: Record<string, string>[] = [];
      for (const statement of sql.split(/;\s/)) rows.push(...(await superuser.query(statement)).rows);
      return rows;
    } finally {
      await superuser.end();
    }
  };
  /** Users of the role `orders`, by the check of the page. */
  const left = async () => {
    const check = sqlOf(PG, 'to_timestamp').replace(/'[\d-]+ [\d:]+\+00'/, `now() + interval '1 min'`);
    return (await psql(check)).map(({ rolname }) => rolname);
  };
  const secretId = () => readFileSync(page.variables.VAULT_SECRET_ID_FILE, 'utf8');
  const application = () => {
    const { VAULT_ROLE_ID: roleId, VAULT_SECRET_ID_FILE: file } = page.variables;
    const auth = appRole({ roleId, secretId: fromFile(file) });
    @Module({ imports: [VaultModule.forRoot({ address: proxy.address, auth })], providers: [Orders] })
    class AppModule {}
    return { imports: [AppModule] };
  };
  const start = () => apps.start(application());

  it('names its variables in the first block, and only there', () => {
    const names = [...(blocks[0]?.text ?? '').matchAll(/\bexport (\w+)/g)].map((found) => found[1]);
    expect(new Set(names)).toEqual(new Set(page.names));
    expect(new Set(blocks.map(({ language }) => language))).toEqual(new Set(['sh', 'sql', 'hcl']));
  });

  it('the statements that drop a user are the same on all pages', () => {
    const pages = ['docs/server-setup.md', 'docs/databases/pg.md', 'docs/databases/typeorm.md'];
    const drops = pages.flatMap((page) =>
      blocksOf(page).flatMap(({ text }) => /DO \$\$ BEGIN[^]*REASSIGN[^]*END \$\$;\n/.exec(text) ?? []),
    );
    expect(drops).toHaveLength(4);
    expect(new Set(drops.map((text) => text.replace('orders_owner', 'orders_app'))).size).toBe(1);
    expect(drops[1]).toContain('TO orders_owner');
  });

  it('its blocks make the objects that they name', async () => {
    expect(page.printed).toContain('the-key-of-the-payment-provider');
    expect(statSync(page.variables.VAULT_SECRET_ID_FILE).mode & 0o077).toBe(0);
    expect(secretId()).toMatch(/^[0-9a-f-]{36}$/);
    // The trial at the end of the page left nothing.
    await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));
    const { data } = await root('GET', 'database/config/shop');
    expect(JSON.stringify(data)).not.toContain('change-me');
    const { rows } = await postgres.query(
      `select rolsuper, rolcreatedb, rolcreaterole from pg_roles where rolname = 'vault_admin'`,
    );
    expect(rows).toEqual([{ rolsuper: false, rolcreatedb: false, rolcreaterole: true }]);
  });

  it('the policy is enough to read, issue, renew, rotate and revoke; nothing is refused, and nothing left', async () => {
    // The TTLs of the page are too long for a test; all else is as the page made it.
    await root('POST', 'database/roles/orders', { default_ttl: '4s', max_ttl: '8s' });
    await root('POST', 'auth/approle/role/orders', { token_period: '5s' });
    const app = await start();
    const orders = app.get(Orders);
    expect(orders.apiKey.reveal()).toBe('the-key-of-the-payment-provider');
    await orders.place();
    const first = await orders.user();
    expect(first).toMatch(/^v-approle-orders-/);
    await eventually(async () => expect(await orders.user()).not.toBe(first), 20_000);
    await orders.place();
    // Looks up the lease.
    await app
      .get(CredentialsService)
      .current('database/creds/orders')
      ?.lease.reportRejected?.({ confirmed: false });
    await eventually(() => expect(proxy.count(/leases\/lookup/)).toBeGreaterThan(0));
    await app.close();
    const asked = new Set(proxy.requests.map((line) => line.replace('/v1/', '')));
    expect(asked).toEqual(
      new Set([
        'POST auth/approle/login',
        'GET secret/data/payments',
        'GET database/creds/orders',
        'POST sys/leases/renew',
        'POST sys/leases/lookup',
        'POST auth/token/renew-self',
        'POST auth/token/revoke-self',
      ]),
    );
    expect(proxy.seen.filter(({ status = 0 }) => status >= 400)).toEqual([]);
    await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));
  });

  it('the policy grants these rights, and no others', async () => {
    const login = await bao.api('POST', 'auth/approle/login', {
      role_id: page.variables.VAULT_ROLE_ID,
      secret_id: secretId(),
    });
    const { client_token: token, policies } = login.body.auth;
    expect(policies).toEqual(['orders']);
    const status = async (method: string, path: string, body?: object) =>
      (await bao.api(method, path, body, { token })).status;
    expect(await status('GET', 'auth/token/lookup-self')).toBe(200);
    const others = ['database/roles/orders', 'database/creds/other', 'secret/data/other', 'cubbyhole/x'];
    for (const path of [...others, 'auth/approle/role/orders/role-id', 'sys/policies/acl/orders'])
      expect([path, await status('GET', path)]).toEqual([path, 403]);
    expect(await status('POST', 'auth/approle/role/orders/secret-id')).toBe(403);
    expect(await status('POST', 'sys/leases/revoke', { lease_id: 'x' })).toBe(403);
    expect(await status('POST', 'auth/token/create')).toBe(403);
    expect(await status('POST', 'auth/token/revoke-self')).toBe(204);
  });

  it('the delivery creates secret_ids and renews its token, and nothing else', async () => {
    const rights = { policies: ['orders-delivery'], no_default_policy: true, period: '72h' };
    const { auth } = await root('POST', 'auth/token/create', rights);
    const { client_token: token } = auth;
    const status = async (method: string, path: string) =>
      (await bao.api(method, path, {}, { token })).status;
    expect(auth.policies).toEqual(['orders-delivery']);
    expect(await status('POST', 'auth/token/renew-self')).toBe(200);
    expect(await status('POST', 'auth/approle/role/orders/secret-id')).toBe(200);
    const others = ['auth/token/lookup-self', 'auth/approle/role/orders/role-id', 'database/creds/orders'];
    for (const path of [...others, 'cubbyhole/x'])
      expect([path, await status('GET', path)]).toEqual([path, 403]);
  });

  it('delivered by root, the application reads the file and changes nothing in its folder', async (context) => {
    const user = unprivilegedUser();
    if (!user) return context.skip();
    const DELIVERY = join(folder, 'by-root');
    chmodSync(folder, 0o711);
    const text = readFileSync('docs/server-setup.md', 'utf8');
    const [, mode, owner] = /`d \/run\/orders (\d+) (\w+) <group>`[^`]+`umask 027`/.exec(text)!;
    const block = blocks.find((candidate) => candidate.text.includes('umask 077'))!;
    const deliver = () =>
      page.run({ ...block, text: block.text.replace('umask 077', 'umask 027') }, bao.rootToken, { DELIVERY });
    execFileSync('install', ['-d', '-m', mode!, '-o', owner!, '-g', `${user.gid}`, DELIVERY]);
    await deliver();
    await deliver();
    const application = (command: string, ...args: string[]) =>
      execFileSync(command, args, { cwd: DELIVERY, ...user, encoding: 'utf8', stdio: 'pipe' });
    expect(application('cat', 'secret_id')).toMatch(/^[0-9a-f-]{36}$/);
    const target = join(folder, 'of-root');
    for (const [command, ...args] of [
      ['ln', '-s', target, 'secret_id.new'],
      ['mv', 'secret_id', 'x'],
      ['rm', '-f', 'secret_id'],
      ['tee', '-a', 'secret_id'],
    ] as const)
      expect(() => application(command, ...args)).toThrow('Permission denied');
  });

  it('the second role issues users for migrations, and its login has no other', async () => {
    await postgres.query('CREATE ROLE orders_owner NOLOGIN');
    await postgres.query('GRANT USAGE, CREATE ON SCHEMA public TO orders_owner');
    await postgres.query('GRANT orders_owner TO vault_admin WITH ADMIN OPTION');
    const role = 'auth/approle/role/orders-migrations';
    const { data } = await root('GET', `${role}/role-id`);
    const { data: secret } = await root('POST', `${role}/secret-id`);
    const login = await root('POST', 'auth/approle/login', {
      role_id: data.role_id,
      secret_id: secret.secret_id,
    });
    const { client_token: token } = login.auth;
    const status = async (method: string, path: string) =>
      (await bao.api(method, path, {}, { token })).status;
    expect(await status('GET', 'database/creds/orders-migrations')).toBe(200);
    expect(await usersInDatabase(postgres)).toHaveLength(1);
    expect(await status('GET', 'database/creds/orders')).toBe(403);
    expect(await status('POST', 'auth/token/revoke-self')).toBe(204);
    await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));
  });

  it('a start works after the expiry of the first secret_id, as another one was delivered', async () => {
    await root('POST', 'auth/approle/role/orders/secret-id/destroy', { secret_id: secretId() });
    expect(await apps.startError(application())).toMatchObject({
      code: 'VAULT_LOGIN_INPUT_INVALID',
    });
    await page.deliver();
    const app = await start();
    await app.get(Orders).place();
    await app.close();
    await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));
  });

  it('the steps after a leak end what a thief has, and the application goes on', async () => {
    const [policy, destroy, revoke, drop] = leaked;
    await page.run(policy!);
    const { auth } = await root('POST', 'auth/token/create', { policies: ['orders-incident'] });
    const onCall = auth.client_token as string;
    // With metadata that is printed after the name of the role.
    const { data } = await root('POST', 'auth/approle/role/orders/secret-id', { metadata: '{"zone":"a"}' });
    const given = { role_id: page.variables.VAULT_ROLE_ID, secret_id: data.secret_id as string };
    const stolen = (await root('POST', 'auth/approle/login', given)).auth.client_token as string;
    const issue = async () =>
      new Thief(
        postgres,
        (await bao.api('GET', 'database/creds/orders', undefined, { token: stolen })).body.data,
      );
    const [thief, other] = [await issue(), await issue()];
    await thief.entrench(other);
    await other.entrench(thief);
    await thief.hide();
    await other.lockItself();
    await expect(thief.run('select lo_create(0)', 'postgres')).rejects.toMatchObject({ code: '42501' });
    const migrations = await root('GET', 'database/creds/orders-migrations');
    const owner = new Thief(postgres, migrations.data);
    await owner.setTraps();
    await root('PUT', 'sys/leases/revoke', { lease_id: migrations.lease_id, sync: true });
    await owner.end();
    const app = await start();
    const orders = app.get(Orders);
    const first = await orders.user();
    await page.run(destroy!, onCall);
    await page.deliver();
    await page.run(revoke!, onCall);
    expect((await bao.api('POST', 'auth/approle/login', given)).status).toBe(REFUSED_SECRET_ID);
    const look = (token: string) => bao.api('GET', 'auth/token/lookup-self', undefined, { token });
    expect((await look(stolen)).status).toBe(403);
    await eventually(async () => {
      const users = await usersInDatabase(postgres);
      expect(users.filter((name) => [thief.name, other.name].includes(name))).toEqual([]);
    });
    expect([await thief.open(), await other.open()]).toEqual([0, 0]);
    await Promise.all([thief.end(), other.end()]);
    expect((await look(onCall)).status).toBe(200);
    const replaced = (before?: string) =>
      eventually(async () => {
        await orders.place();
        expect(await orders.user()).not.toBe(before);
      }, 20_000);
    await replaced(first);
    // A user alone: all of the role, then one that is known by its lease.
    const second = await orders.user();
    await page.run(drop!, onCall);
    await eventually(async () => expect(await usersInDatabase(postgres)).not.toContain(second));
    await replaced(second);
    const { data: leases } = await root('LIST', 'sys/leases/lookup/database/creds/orders');
    for (const id of leases.keys as string[]) {
      const path = `sys/leases/revoke/database/creds/orders/${id}`;
      expect((await bao.api('PUT', path, {}, { token: onCall })).status).toBe(204);
    }
    await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));
    await app.close();
    await eventually(async () => expect(await usersInDatabase(postgres)).toEqual([]));
  });

  it('a user that another one keeps cannot log in, and blocks nothing', async () => {
    const { data, lease_id: id } = await root('GET', 'database/creds/orders');
    const thief = new Thief(postgres, data);
    await thief.run('select 1');
    await postgres.query(`create table kept (x int); grant select on kept to "${thief.name}"`);
    const revoke = () => bao.api('PUT', 'sys/leases/revoke', { lease_id: id, sync: true });
    expect((await revoke()).status).toBe(400);
    expect(await thief.open()).toBe(0);
    await expect(thief.run('select 1')).rejects.toMatchObject({ code: '28000' });
    await postgres.query('drop table kept');
    expect((await revoke()).status).toBe(204);
    expect(await usersInDatabase(postgres)).toEqual([]);
    await thief.end();
  });

  it('a thief who holds up the revocation of others is found, and cut off', async () => {
    const issue = async () => {
      const { data, lease_id: id } = await root('GET', 'database/creds/orders');
      return { thief: new Thief(postgres, data), id };
    };
    const [held, holder] = [await issue(), await issue()];
    await holder.thief.run(`begin; alter default privileges grant select on tables to "${held.thief.name}"`);
    const revoke = async (id: string) =>
      (await bao.api('PUT', 'sys/leases/revoke', { lease_id: id, sync: true })).status;
    expect(await revoke(held.id)).toBe(400);
    const find = async () => (await psql(sqlOf(PG, 'pg_authid'))).map(({ usename }) => usename);
    expect(await find()).toEqual([holder.thief.name]);
    await psql(sqlOf(PG, 'ALTER ROLE "v-…"').replaceAll('v-…', holder.thief.name));
    expect(await find()).toEqual([]);
    for (const { id } of [held, holder]) expect(await revoke(id)).toBe(204);
    await holder.thief.end();
  });

  it('names of users without the display name are found by the check, and dropped', async () => {
    const template = blocksOf(PG).find(({ text }) => text.includes('username_template'))!;
    await page.run(template);
    const { data, lease_id: id } = await root('GET', 'database/creds/orders');
    expect(data.username).toMatch(/^v-app-orders-\w{20}-\d+$/);
    expect(await left()).toContain(data.username);
    await root('PUT', 'sys/leases/revoke', { lease_id: id, sync: true });
    expect(await left()).not.toContain(data.username);
    await root('POST', 'database/config/shop', { username_template: '' });
  });

  it('with other statements, the check finds the user that stays, and a superuser removes it and its sessions', async () => {
    const drop = 'DROP ROLE IF EXISTS "{{name}}"';
    await root('POST', 'database/roles/orders', { revocation_statements: drop });
    await root('POST', 'database/roles/orders-migrations', { revocation_statements: drop });
    const issue = async (role: string) => {
      const { data, lease_id: id } = await root('GET', `database/creds/${role}`);
      return { thief: new Thief(postgres, data), id };
    };
    const [kept, owner] = await Promise.all([issue('orders'), issue('orders-migrations')]);
    await kept.thief.run('alter default privileges grant select on tables to public');
    await owner.thief.run('select 1');
    const revoke = (id: string) => bao.api('PUT', 'sys/leases/revoke', { lease_id: id, sync: true });
    expect((await revoke(kept.id)).status).toBe(400);
    expect((await revoke(owner.id)).status).toBe(204);
    expect(await left()).toEqual([kept.thief.name]);
    expect(await owner.thief.open()).toBe(1);
    await kept.thief.hide();
    await kept.thief.lockItself();
    // The page says to run them again after a lock timeout.
    await eventually(() => psql(sqlOf(PG, 'ALTER ROLE "v-…"').replaceAll('v-…', kept.thief.name)));
    expect(await left()).toEqual([]);
    await psql(sqlOf(PG, 'SELECT oid FROM pg_roles'));
    await eventually(async () => expect([await kept.thief.open(), await owner.thief.open()]).toEqual([0, 0]));
    expect((await revoke(kept.id)).status).toBe(204);
    await Promise.all([kept.thief.end(), owner.thief.end()]);
  });

  it('a thief of a static role stops no other user, and the page ends it', async () => {
    await postgres.query('create role reports login in role orders_app');
    await postgres.query('grant reports to vault_admin with admin option');
    await root('POST', 'database/config/shop', { allowed_roles: 'orders,reports' });
    await root('POST', 'database/static-roles/reports', {
      db_name: 'shop',
      username: 'reports',
      rotation_period: '24h',
      // With a shorter wait, for a shorter test.
      rotation_statements: sqlOf(PG, 'rotation_statements').replace('5s', '100ms'),
    });
    const read = async () => (await root('GET', 'database/static-creds/reports')).data;
    const thief = new Thief(postgres, await read());
    await thief.hide();
    await thief.lockItself();
    const rotate = () => bao.api('POST', 'database/rotate-role/reports');
    expect((await rotate()).status).toBe(500);
    const { lease_id: id } = await root('GET', 'database/creds/orders');
    await root('PUT', 'sys/leases/revoke', { lease_id: id, sync: true });
    const [lines] = sqlOf(PG, 'ALTER ROLE "v-…"').replaceAll('v-…', 'reports').split('REASSIGN');
    await eventually(() => psql(lines!.trimEnd()));
    expect((await rotate()).status).toBe(204);
    await postgres.query('alter role reports login');
    await eventually(async () => expect(await thief.open()).toBe(0));
    await thief.end();
    const application = new Thief(postgres, await read());
    await application.run('select 1');
    await application.end();
  });

  it('the loops that revoke the tokens of a role find those of a namespace', async (context) => {
    // Without Enterprise, HashiCorp Vault has no namespaces.
    if (bao.kind === 'vault') context.skip();
    const namespace = 'team';
    await root('POST', `sys/namespaces/${namespace}`);
    const call = async (method: string, path: string, body?: object) =>
      (await bao.api(method, path, body, { namespace })).body;
    await call('POST', 'sys/auth/approle', { type: 'approle' });
    await call('POST', 'auth/approle/role/orders', { token_policies: 'default' });
    const { data: role } = await call('GET', 'auth/approle/role/orders/role-id');
    const drill = commandsOf('NestjsVaultCredentialsRevoked', 'drill').find(({ text }) =>
      /accessor/.test(text),
    );
    for (const block of [leaked[2]!, drill!]) {
      const { data } = await call('POST', 'auth/approle/role/orders/secret-id');
      const { auth } = await call('POST', 'auth/approle/login', { ...role, secret_id: data.secret_id });
      expect(auth.accessor).toMatch(/\./);
      await page.run(block, bao.rootToken, { VAULT_NAMESPACE: namespace, ROLE: 'orders' });
      const options = { token: auth.client_token as string, namespace };
      expect((await bao.api('GET', 'auth/token/lookup-self', undefined, options)).status).toBe(403);
    }
  });
});
