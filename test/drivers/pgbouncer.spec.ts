import type { TestingModule } from '@nestjs/testing';
import type { Observable } from 'rxjs';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import {
  createRotatingPgPool,
  type LoginCredentials,
  type PoolEvent,
  type RotatingPgPool,
  type RotatingPgPoolConfig,
} from 'nestjs-vault/pg';
import pg, { type Client } from 'pg';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { figure, Load, pause } from '../support/driver-load.js';
import { ENDING_REVOCATION, LeasedPostgres } from '../support/leased-postgres.js';
import { DRAIN, poolWork, soak, staticRole } from '../support/leased-work.js';
import { whoami } from '../support/pg-pools.js';
import { startPgBouncer, type PgBouncerServer } from '../support/pgbouncer.mjs';
import { describePgBouncer } from '../support/real-pgbouncer.js';

const POOL = 'POOL';
const MODES = ['transaction', 'session'] as const;
type Mode = (typeof MODES)[number];

describePgBouncer('pg through PgBouncer', () => {
  let world: LeasedPostgres;
  /** The set-up of the guide. */
  let bouncer: PgBouncerServer;
  /** Ends the login of an unknown user before the password, as in PgBouncer's own example. */
  let curt: PgBouncerServer;

  beforeAll(async () => {
    const roles = ['transaction', 'session'].flatMap((mode) => [
      { name: short(mode, 'soak') },
      { name: short(mode, 'gone'), long: true },
      { name: short(mode, 'curt'), long: true },
      { name: short(mode, 'kill'), long: true, revocation: ENDING_REVOCATION },
    ]);
    world = await LeasedPostgres.start(roles);
    // The time that an idle server connection of a removed user may stay open.
    const settings = { server_idle_timeout: 1, server_login_retry: 1 };
    bouncer = await startPgBouncer(world.postgres, { group: 'orders_app', settings });
    curt = await startPgBouncer(world.postgres, { group: 'orders_app', settings, unknownUsers: false });
  });
  afterAll(async () => {
    try {
      await world?.apps.finish();
    } finally {
      await Promise.all([bouncer?.stop(), curt?.stop()]);
      await world?.stop();
    }
  });

  const start = async (
    path: string,
    mode: Mode,
    { through = bouncer, ...config }: RotatingPgPoolConfig & { through?: PgBouncerServer } = {},
  ) => {
    const events: PoolEvent[] = [];
    const { host, port } = through;
    const app: TestingModule = await world.app({
      providers: [
        {
          provide: POOL,
          inject: [getCredentialsToken({ path })],
          useFactory: async (credentials$: Observable<DatabaseCredentials | LoginCredentials>) => {
            const where = { host, port, database: mode, drain: DRAIN, ...config };
            const pool = await createRotatingPgPool(world.guarded(credentials$), where);
            return pool.on('rotation', (event) => events.push(event));
          },
        },
      ],
    });
    return { app, events, pool: app.get<RotatingPgPool>(POOL) };
  };

  it.concurrent.each(MODES)('%s mode: rotations under load, and nothing fails', async (mode) => {
    const role = short(mode, 'soak');
    const { app, pool, events } = await start(`database/creds/${role}`, mode, { maxUses: 20 });
    await soak(world, { app, role, work: poolWork(pool), whoami: () => whoami(pool), printed: pool });
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(['rotated']));
  });

  it.concurrent.each(MODES)(
    '%s mode: a static role whose password the server changes, and nothing fails',
    async (mode) => {
      const path = 'database/static-creds/rotated';
      // New connections all the time, as only logins use the password.
      const { app, pool } = await start(path, mode, { maxUses: 3 });
      await staticRole(world, { app, work: poolWork(pool), whoami: () => whoami(pool) });
    },
  );

  it('only PgBouncer may read passwords, and only those of leased users', async () => {
    const { name, password } = bouncer;
    const secretOf = async (who: Client, user: string) => {
      const sql = `select secret from ${name}.user_lookup($1)`;
      return (await who.query<{ secret: string | null }>(sql, [user])).rows[0]?.secret;
    };
    const connect = async (user: string, with_: string) => {
      const client = new pg.Client({ ...world.where, user, password: with_ });
      onTestFinished(() => client.end());
      await client.connect();
      return client;
    };
    await world.postgres.query(`
      create role leased login password 'canary-of-leased' in role orders_app;
      create role late login password 'canary-of-late' valid until '2020-01-01' in role orders_app;
      create role engine login createrole password 'canary-of-engine' in role orders_app;
      create role stranger login password 'canary-of-stranger'`);
    const leased = await connect('leased', 'canary-of-leased');
    await expect(secretOf(leased, 'leased')).rejects.toMatchObject({ code: '42501' });
    const own = await connect(name, password);
    expect(await secretOf(own, 'leased')).toMatch(/^SCRAM-SHA-256/);
    for (const user of ['late', 'engine', 'stranger', world.postgres.superuser])
      expect((await secretOf(own, user)) ?? 'none').toBe('none');
  });

  const revoke = (role: string) => world.revoke(role);
  const drop = async (role: string) =>
    void (await world.postgres.query(`drop role "${world.usersOf(role)[0]}"`));
  const gone = MODES.flatMap((mode) => [
    { mode, what: 'the user is dropped, and the lease stays valid', role: short(mode, 'gone'), act: drop },
    { mode, what: 'the lease is revoked, and its sessions ended', role: short(mode, 'kill'), act: revoke },
    {
      mode,
      what: 'the lease is revoked, where a login is broken off',
      role: short(mode, 'curt'),
      act: revoke,
    },
  ]);
  // One after the other, as the test measures time.
  it.each(gone)('$mode mode: $what: recovered within about a second', async ({ mode, role, act }) => {
    const through = role === short(mode, 'curt') ? curt : bouncer;
    const { app, pool, events } = await start(`database/creds/${role}`, mode, { maxUses: 5, through });
    const load = new Load(() => pool.query(`insert into orders (item) values ('tea')`), 80);
    await pause(500);
    expect(load.failures).toEqual([]);
    const before = await whoami(pool);
    await act(role);
    const recovery = await load.recovery();
    await pause(500);
    await load.stop();
    const codes = [...new Set(load.failures.map(({ error }) => (error as { code?: string }).code))];
    figure(
      `${mode} ${role}: ${load.failures.length} of ${load.count} failed (${codes.join()}), ${recovery} ms`,
    );
    expect(recovery).toBeLessThan(1_500);
    expect(load.failures.length).toBeLessThan(10);
    expect(await whoami(pool)).not.toBe(before);
    expect(events.map(({ type }) => type)).toContain('rotated');
    await app.close();
    await world.expectGone(role);
  });
});

/** The name of a role: at most 8 characters, as OpenBao cuts longer names off in the names of users. */
const short = (mode: string, name: string) => `${mode.slice(0, 4)}${name}`;
