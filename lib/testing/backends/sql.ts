import type { ServerContext, StatementOrigin } from '../server/server-context.js';
import { randomText } from '../server/ids.js';

/** What the server's plugin for a database knows: the default statements, and the form of user names. */
export interface DatabasePlugin {
  readonly renewal: readonly string[];
  readonly rotation: readonly string[];
  readonly revocation: readonly string[];
  /** Length of the display name and the role in a user name, and of the whole name. */
  readonly part: number;
  readonly longest: number;
}

/** PostgreSQL, with the schema `public`. */
const POSTGRESQL: DatabasePlugin = {
  renewal: [`ALTER ROLE "{{name}}" VALID UNTIL '{{expiration}}'`],
  rotation: [`ALTER USER "{{name}}" WITH PASSWORD '{{password}}'`],
  revocation: [
    `REVOKE ALL PRIVILEGES ON ALL TABLES IN SCHEMA public FROM "{{name}}"`,
    `REVOKE ALL PRIVILEGES ON ALL SEQUENCES IN SCHEMA public FROM "{{name}}"`,
    `REVOKE ALL PRIVILEGES ON SCHEMA public FROM "{{name}}"`,
    `DROP ROLE IF EXISTS "{{name}}"`,
  ],
  part: 8,
  longest: 63,
};

/** MySQL and MariaDB, whose users have no expiry of their own. */
const MYSQL: DatabasePlugin = {
  renewal: [],
  rotation: [`ALTER USER '{{name}}'@'%' IDENTIFIED BY '{{password}}'`],
  revocation: [`REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{{name}}'@'%'`, `DROP USER '{{name}}'@'%'`],
  part: 10,
  longest: 32,
};

export const pluginOf = (name: string): DatabasePlugin => (name.startsWith('mysql-') ? MYSQL : POSTGRESQL);

/** Replaces `{{name}}` (or `{{username}}`), `{{password}}` and `{{expiration}}` by values. */
function fill(statements: readonly string[], values: Record<string, string>): string[] {
  const all: Record<string, string> = { ...values, username: values['name'] ?? '' };
  return statements.map((statement) =>
    statement.replace(/\{\{(\w+)\}\}/g, (_, key: string) => all[key] ?? ''),
  );
}

const UNREACHABLE =
  "failed to connect to 'user=[password] database=app': 127.0.0.1:5999 (127.0.0.1): dial error: " +
  'dial tcp 127.0.0.1:5999: connect: connection refused';

/** Creates a password in the format of the server. */
export const newPassword = () => `${randomText(19)}-`;

/** Statements of a role. */
export interface Statements extends Omit<StatementOrigin, 'number'> {
  /** Name of the connection to the database. */
  readonly database: string;
  readonly statements: readonly string[];
}

/** The error as the server words it. */
function worded(error: unknown): Error {
  const { message, severity, code } = (error ?? {}) as Partial<Error> & { severity?: string; code?: string };
  // Errors of PostgreSQL have a severity; those of a connection do not.
  return new Error(severity === undefined ? message : `${severity}: ${message} (SQLSTATE ${code})`);
}

/**
 * Runs the statements of a role for one user; does nothing without a real database.
 *
 * @param values.expires milliseconds of the server
 */
export function runSql(
  server: Pick<ServerContext, 'time' | 'database'>,
  { database, role, kind, statements }: Statements,
  name: string,
  { password = '', expires = 0 } = {},
): Promise<void> | undefined {
  const { sql, down } = server.database;
  if (down) return Promise.reject(new Error(UNREACHABLE));
  if (!sql) return undefined;
  const expiration = new Date(expires).toISOString().replace('T', ' ').replace(/\..*$/, '+0000');
  const work = (async () => {
    for (const [index, statement] of fill(statements, { name, password, expiration }).entries())
      await sql(statement, database, { role, kind, number: index + 1 });
  })().catch((error: unknown) => {
    throw worded(error);
  });
  server.time.hold(work);
  return work;
}
