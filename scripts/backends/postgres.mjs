import { provision, startPostgres, usersInDatabase } from '../../test/support/servers.mjs';

export const title = 'PostgreSQL';
export const variable = 'PGHOST';
export const look = `SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%'`;
/** Always true: PostgreSQL is installed with the packages. */
export const available = () => ({ ok: true });
export const start = () => startPostgres();

/** A simulated Vault that makes real users in the database. */
export async function simulate(postgres) {
  const { startSimulatedServer } = await import('../simulated-server.mjs');
  return startSimulatedServer(postgres);
}

export async function setUp(vault, postgres, { file, lease, approle }) {
  await postgres.query(file('setup.sql'));
  const statements = {
    creationStatements: [file('creation.sql')],
    revocationStatements: [file('revocation.sql')],
  };
  return provision(vault, postgres, {
    roles: [{ name: 'orders', ...lease, ...statements }],
    approleName: 'orders',
    policy: file('policy.hcl'),
    approle,
  });
}

export const where = ({ host, port, database }) => `${host}:${port}, database ${database}`;
export const env = ({ host, port, database }) => ({
  PGHOST: host,
  PGPORT: String(port),
  PGDATABASE: database,
});
export const users = usersInDatabase;
