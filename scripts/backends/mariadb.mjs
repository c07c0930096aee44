import { randomBytes } from 'node:crypto';
import {
  mariaDbAvailable,
  provisionMariaDb,
  startMariaDb,
  usersInMariaDb,
} from '../../test/support/mariadb.mjs';

export const title = 'MariaDB';
export const variable = 'MYSQL_HOST';
export const look = `SELECT user FROM mysql.user WHERE user LIKE 'v-%'`;
export const available = mariaDbAvailable;
export const start = () => startMariaDb();

export async function setUp(vault, mariadb, { file, lease, approle }) {
  const password = randomBytes(12).toString('hex');
  await mariadb.query(file('setup.sql') + file('admin.sql').replace('…', password));
  const statements = {
    creationStatements: [file('creation.sql')],
    revocationStatements: [file('revocation.sql')],
  };
  return provisionMariaDb(vault, mariadb, {
    admin: { username: 'vault_admin', password },
    roles: [{ name: 'orders', ...lease, ...statements }],
    approleName: 'orders',
    policy: file('policy.hcl'),
    approle,
  });
}

export const where = ({ host, port, database }) => `${host}:${port}, database ${database}`;
export const env = ({ host, port, database }) => ({
  MYSQL_HOST: host,
  MYSQL_PORT: String(port),
  MYSQL_DATABASE: database,
});
export const users = usersInMariaDb;
