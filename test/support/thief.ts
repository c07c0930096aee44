import { Client, type DatabaseError } from 'pg';
import type { PostgresServer } from './servers.mjs';

/** SQLSTATE insufficient_privilege. */
const DENIED = '42501';

/** The holder of a leaked database user who wants to keep it. */
export class Thief {
  readonly #postgres: PostgresServer;
  readonly #user: { username: string; password: string };
  readonly #sessions: Client[] = [];

  constructor(postgres: PostgresServer, user: { username: string; password: string }) {
    this.#postgres = postgres;
    this.#user = user;
  }

  get name(): string {
    return this.#user.username;
  }

  /** Opens a session and runs statements in it. */
  async run(sql: string, database = this.#postgres.database): Promise<void> {
    const { host, port } = this.#postgres;
    const { username: user, password } = this.#user;
    const session = new Client({ host, port, database, user, password });
    session.on('error', () => undefined);
    await session.connect();
    this.#sessions.push(session);
    await session.query(sql);
  }

  /** Everything that a user may do by default and that keeps PostgreSQL from dropping it, or another user. */
  async entrench(other: Thief): Promise<void> {
    // With the set-up of the page each of these is denied; if not, the two users keep each other.
    for (const create of ['lo_create(0)', 'lo_creat(0)', `lo_from_bytea(0, '')`]) {
      const grant = `format('grant select on large object %s to "${other.name}"', ${create})`;
      await this.run(`do $$ begin execute ${grant}; end $$`).catch((error: DatabaseError) => {
        if (error.code !== DENIED) throw error;
      });
    }
    await this.run('alter default privileges grant select on tables to public');
    await this.run('create temporary table mine (x int)');
    // As long as this is open, DROP ROLE waits.
    await this.run('begin; create temporary table open (x int)');
  }

  /** Number of sessions that still answer. */
  async open(): Promise<number> {
    const answers = await Promise.allSettled(this.#sessions.map((session) => session.query('select 1')));
    return answers.filter(({ status }) => status === 'fulfilled').length;
  }

  async end(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.end().catch(() => undefined)));
  }
}
