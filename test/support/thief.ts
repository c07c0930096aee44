import { Client, type ClientConfig, type DatabaseError } from 'pg';
import { expect, vi } from 'vitest';
import type { PostgresServer } from './servers.mjs';

/** SQLSTATE insufficient_privilege. */
const DENIED = '42501';
/** A login that is refused: NOLOGIN, no such user, or no server. */
const REFUSED = ['28000', '28P01', 'ECONNREFUSED'];

/** A session that waits for so many seconds before it starts, and is in no list until then. */
const HIDDEN = '-c role=orders_app -c post_auth_delay=20';
const STARTING = `select from pg_locks where locktype = 'virtualxid'
  and pid not in (select pid from pg_stat_activity where usesysid is not null or backend_type <> 'client backend')`;

/** These match a call better than PostgreSQL's own, unless search_path is pg_catalog. */
const TRAPS = `
  create function pg_terminate_backend(int, int) returns boolean language plpgsql as $$ begin raise 'trapped'; end $$;
  create function to_timestamp(int) returns timestamptz language plpgsql as $$ begin raise 'trapped'; end $$;
  create function matches(name, name) returns boolean language plpgsql as $$ begin raise 'trapped'; end $$;
  create operator ~ (leftarg = name, rightarg = name, function = matches)`;

const LOCK = `begin; alter role current_user password 'stolen'`;

/** The holder of a leaked database user who wants to keep it. */
export class Thief {
  readonly #postgres: PostgresServer;
  readonly #user: { username: string; password: string };
  readonly #sessions: Client[] = [];
  readonly #loops: Promise<void>[] = [];

  constructor(postgres: PostgresServer, user: { username: string; password: string }) {
    this.#postgres = postgres;
    this.#user = user;
  }

  get name(): string {
    return this.#user.username;
  }

  #session(options: ClientConfig = {}): Client {
    const { host, port, database } = this.#postgres;
    const { username: user, password } = this.#user;
    const session = new Client({ host, port, database, user, password, ...options });
    session.on('error', () => undefined);
    return session;
  }

  /** Opens a session and runs statements in it. */
  async run(sql: string, database = this.#postgres.database): Promise<void> {
    const session = this.#session({ database });
    await session.connect();
    this.#sessions.push(session);
    await session.query(sql);
  }

  /** Begins a session that starts much later. */
  async hide(): Promise<void> {
    const session = this.#session({ options: HIDDEN });
    this.#sessions.push(session);
    session.connect().catch(() => undefined);
    await vi.waitFor(async () => expect((await this.#postgres.query(STARTING)).rowCount).toBeGreaterThan(0));
  }

  /** As a user that may create functions: sets traps for the rights of an administrator. */
  setTraps(): Promise<void> {
    return this.run(TRAPS);
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

  /** Locks its own row of the users in a transaction that stays open, and logs in for it again as long as it can. */
  async lockItself(): Promise<void> {
    await this.run(LOCK);
    for (let loop = 0; loop < 3; loop++) this.#loops.push(this.#logInAgain());
  }

  async #logInAgain(): Promise<void> {
    for (;;) {
      try {
        await this.run(LOCK);
        await this.#sessions.at(-1)?.query('select pg_sleep(60)');
      } catch (error) {
        if (REFUSED.includes((error as DatabaseError).code ?? '')) return;
      }
    }
  }

  /** Number of sessions that still answer. */
  async open(): Promise<number> {
    const answers = await Promise.allSettled(this.#sessions.map((session) => session.query('select 1')));
    return answers.filter(({ status }) => status === 'fulfilled').length;
  }

  async end(): Promise<void> {
    await Promise.all(this.#loops);
    await Promise.all(this.#sessions.map((session) => session.end().catch(() => undefined)));
  }
}
