import { sqlState, withMeaning } from '../../engines/sql-states.js';
import { codeOf } from '../../errors/printable.js';
import { VaultError } from '../../errors/vault-error.js';
import { invalid } from '../invalid.js';
import type { DevDatabase } from '../../testing/dev-server-file.js';
import type { StatementOrigin } from '../../testing/index.js';
import { loadModule } from '../load-module.js';
import { below } from './checks.js';
import { databaseOf, titleOf, type DatabaseAddress } from './database-url.js';

/** Milliseconds for a connection. */
const CONNECT_TIMEOUT = 5_000;
const CONNECTIONS = 4;
/** The thing that a statement creates exists: states of PostgreSQL, names of MariaDB. */
const EXISTS = /^(42P0[4-7]|42710|42723|ER_\w+_EXISTS_ERROR|ER_DB_CREATE_EXISTS|ER_DUP_KEYNAME)$/;

/** Connections of an administrator to one database. */
interface Admin {
  readonly run: (statement: string) => Promise<unknown>;
  readonly end: () => Promise<void>;
}

/** A pool of pg or mysql2, as far as it is used here. */
interface Pool {
  query(statement: string): Promise<unknown>;
  end(): Promise<void>;
  on(event: 'error', listener: () => void): unknown;
}

type Databases = Readonly<Record<string, DevDatabase>>;

/** The administrator's connections to the databases of a file, with the drivers of the application. */
export class AdminDatabases {
  readonly #folder: string;
  readonly #admins = new Map<string, Admin & { readonly url: string }>();

  /** @param folder the application's folder, in which `pg` and `mysql2` are found */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Connects to new databases, and runs the statements of `prepare` in all.
   *
   * @param ran counts the statements that ran, by the path of their list
   * @throws VaultError `VAULT_CONFIG_INVALID` if a driver is missing, a database cannot be used, a statement fails, or the
   * URL of a connected database has changed: its users could not be dropped any more
   */
  async prepare(databases: Databases, ran = new Map<string, number>()): Promise<void> {
    for (const [name, { url, prepare = [] }] of Object.entries(databases)) {
      if (url === undefined) continue;
      const path = below('databases', name);
      const known = this.#admins.get(name);
      if (known && known.url !== url)
        throw invalid(
          `${path}.url has changed.`,
          'Restart nestjs-vault dev: users of the first database exist.',
        );
      const admin = known ?? { ...(await this.#connect(url, path)), url };
      this.#admins.set(name, admin);
      for (const [index, statement] of prepare.entries()) {
        await admin.run(statement).catch((error: unknown) => {
          throw failedToPrepare(`${path}.prepare`, index, codeOf(error));
        });
        ran.set(`${path}.prepare`, index + 1);
      }
    }
  }

  has(database: string): boolean {
    return this.#admins.has(database);
  }

  /** Runs one statement of the simulated server; nothing for a database without a URL. */
  async run(statement: string, database: string): Promise<void> {
    await this.#admins.get(database)?.run(statement);
  }

  async close(): Promise<void> {
    const all = [...this.#admins.values()];
    this.#admins.clear();
    await Promise.allSettled(all.map(({ end }) => end()));
  }

  async #connect(url: string, path: string): Promise<Admin> {
    const address = databaseOf(url) as DatabaseAddress;
    const admin = await (address.kind.driver === 'pg' ? this.#openPg(url) : this.#openMysql(address));
    try {
      await admin.run('SELECT 1');
      return admin;
    } catch (error) {
      await admin.end().catch(() => undefined);
      throw invalid(
        `${path}: ${titleOf(address)} cannot be used (${codeOf(error)}).`,
        'Start it, create the database, and compare user and password of `url`.',
      );
    }
  }

  async #openPg(url: string): Promise<Admin> {
    const loaded = await this.#driver('pg', 'pg');
    const { Pool } = (loaded['default'] ?? loaded) as { Pool: new (options: object) => Pool };
    const pool = new Pool({
      connectionString: url,
      max: CONNECTIONS,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      application_name: 'nestjs-vault dev',
    });
    // A connection that breaks while idle is replaced at the next statement.
    pool.on('error', () => undefined);
    return { run: (statement) => pool.query(statement), end: () => pool.end() };
  }

  async #openMysql({ host, port, database, username, password }: DatabaseAddress): Promise<Admin> {
    const loaded = await this.#driver('mysql2/promise', 'mysql2');
    const { createPool } = loaded as unknown as { createPool: (options: object) => Pool };
    const pool = createPool({
      host,
      port: Number(port),
      user: username,
      password,
      ...(database !== '' && { database }),
      connectionLimit: CONNECTIONS,
      connectTimeout: CONNECT_TIMEOUT,
      // A real server sends the statements of a text one by one.
      multipleStatements: true,
    });
    return { run: (statement) => pool.query(statement), end: () => pool.end() };
  }

  async #driver(module: string, driver: string): Promise<Record<string, unknown>> {
    try {
      return await loadModule(module, this.#folder);
    } catch {
      throw invalid(
        `The package ${driver} was not found in ${this.#folder}; the database of the file needs it.`,
        `Run \`npm install ${driver}\` in the folder of the application, and start the command there.`,
      );
    }
  }
}

/** One line about a statement of a role that failed, without its text. */
export function failedStatement(
  { role, kind, number }: StatementOrigin,
  database: string,
  error: unknown,
): string {
  const code = codeOf(error);
  const remedy = sqlState(code)?.remedy;
  const which = `${kind[0]?.toUpperCase()}${kind.slice(1)} statement ${number}`;
  return (
    `${which} of the role ${role} (database ${database}) failed (${withMeaning(code)}).` +
    (remedy === undefined ? '' : ` ${remedy}`)
  );
}

function failedToPrepare(path: string, index: number, code: string): VaultError {
  const exists = EXISTS.test(code);
  const before = index === 0 ? '' : ` The ${index} before it ran, and their effect stays.`;
  return invalid(
    `${path}[${index}] failed (${exists ? `${code}: it exists already` : withMeaning(code)}).${before}`,
    exists
      ? 'It runs at each start, so it needs IF NOT EXISTS.'
      : 'Correct the statement; run it yourself to see the whole error.',
  );
}
