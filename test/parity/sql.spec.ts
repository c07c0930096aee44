import pg from 'pg';
import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPostgres, usersInDatabase, type PostgresServer } from '../support/servers.mjs';
import { asker, type Ask } from '../unit/testing/support.js';

/** The simulated server issues users of a real PostgreSQL. */
describe('a simulated server with a real database', () => {
  let postgres: PostgresServer;
  let operator: pg.Client;
  const clock = new VirtualClock();
  let vault: SimulatedVault;
  let ask: Ask;

  beforeAll(async () => {
    postgres = await startPostgres();
    operator = new pg.Client(postgres.connectionString);
    await operator.connect();
    await operator.query('CREATE TABLE orders (id int); CREATE ROLE fixed LOGIN');
    vault = new SimulatedVault({ clock, sql: (statement) => operator.query(statement) });
    ask = asker(vault);
    vault.databaseRole('app', {
      defaultTtl: '30s',
      maxTtl: '60s',
      creationStatements: [
        `CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`,
        'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "{{name}}"',
      ],
    });
  });

  afterAll(async () => {
    await vault?.close();
    await operator?.end();
    await postgres?.stop();
  });

  const works = async (user: string, password: string) => {
    const { host, port, database } = postgres;
    const client = new pg.Client({ host, port, database, user, password });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT * FROM orders');
      return true;
    } catch (error) {
      return (error as { code?: string }).code;
    } finally {
      await client.end().catch(() => undefined);
    }
  };

  it('makes users that work, and drops them at their expiry or revocation', async () => {
    const first = (await ask('GET', 'database/creds/app')).body;
    const second = (await ask('GET', 'database/creds/app')).body;
    expect(await works(first.data.username as string, first.data.password as string)).toBe(true);
    expect(await usersInDatabase(postgres)).toEqual([...vault.liveUsers].sort());
    await clock.advance(20_000);
    expect((await ask('POST', 'sys/leases/renew', { lease_id: first.lease_id })).status).toBe(200);
    await clock.advance(10_000);
    expect(await usersInDatabase(postgres)).toEqual([first.data.username]);
    expect(await works(second.data.username as string, second.data.password as string)).toBe('28P01');
    expect((await ask('POST', 'sys/leases/revoke', { lease_id: first.lease_id })).status).toBe(204);
    expect(await usersInDatabase(postgres)).toEqual([]);
  });

  it('cannot revoke a user that owns an object, which is kept', async () => {
    const { lease_id, data } = (await ask('GET', 'database/creds/app')).body;
    await operator.query(`CREATE TABLE owned (id int); ALTER TABLE owned OWNER TO "${data.username}"`);
    const refused = await ask('POST', 'sys/leases/revoke', { lease_id, sync: true });
    expect([refused.status, refused.body.errors[0]]).toEqual([
      400,
      expect.stringMatching(/cannot be dropped/),
    ]);
    expect((await ask('POST', 'sys/leases/renew', { lease_id })).status).toBe(200);
    await operator.query('DROP TABLE owned');
    expect((await ask('POST', 'sys/leases/revoke', { lease_id, sync: true })).status).toBe(204);
    expect(await usersInDatabase(postgres)).toEqual([]);
  });

  it('answers with the message of the database if a statement fails', async () => {
    vault.databaseRole('bad', { creationStatements: ['BOGUS'] });
    const { status, body } = await ask('GET', 'database/creds/bad');
    expect([status, body.errors[0]]).toEqual([
      500,
      expect.stringMatching(
        /failed to execute query: ERROR: syntax error at or near "BOGUS" \(SQLSTATE 42601\)/,
      ),
    ]);
  });

  it('rotates the password of a static role', async () => {
    await vault.staticRole('fixed', { username: 'fixed', rotationPeriod: '1h' });
    await operator.query('GRANT SELECT ON orders TO fixed');
    const password = async () =>
      (await ask('GET', 'database/static-creds/fixed')).body.data.password as string;
    const first = await password();
    expect(await works('fixed', first)).toBe(true);
    await clock.advance(3_605_000);
    expect(await password()).not.toBe(first);
    expect([await works('fixed', first), await works('fixed', await password())]).toEqual(['28P01', true]);
  });
});
