import { afterAll, beforeAll } from 'vitest';
import { describeReal } from '../../support/real-servers.js';
import { startPostgres, type PostgresServer } from '../../support/servers.mjs';
import { poolContract, type ContractServer } from './contract.js';
import { postgresAdapters } from './postgres-adapters.js';

describeReal('the contract of pools, on PostgreSQL', () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
    await postgres.query(
      'create role app nologin; create table things as select 1 as id; grant select on things to app',
    );
  });
  afterAll(() => postgres?.stop());

  const where = () => ({ host: postgres.host, port: postgres.port, database: postgres.database });
  const server = (): ContractServer => ({
    creation: [`create role "{{name}}" login password '{{password}}' in role app`],
    password: [`alter role "{{name}}" password '{{password}}'`],
    revocation: ['drop role if exists "{{name}}"'],
    disconnect: `select pg_terminate_backend(pid, 5000) from pg_stat_activity where usename = '{{name}}'`,
    run: (statement) => postgres.query(statement),
    exists: async (user) =>
      (await postgres.query('select 1 from pg_roles where rolname = $1', [user])).rowCount === 1,
    connections: async (user) =>
      (await postgres.query('select 1 from pg_stat_activity where usename = $1', [user])).rowCount ?? 0,
    stop: () => postgres.stop(),
  });
  for (const adapter of postgresAdapters(where)) poolContract(adapter, server);
});
