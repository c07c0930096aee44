import pg, { type ClientConfig, type Pool, type PoolClient, type PoolConfig } from 'pg';
import type { Observable } from 'rxjs';
import { VaultError } from '../../errors/vault-error.js';
import type { DatabaseCredentials } from '../../services/credentials.service.js';

/** The connections that were opened with one snapshot, and the hold they need. */
interface Era {
  credentials: DatabaseCredentials;
  clients: Set<pg.Client>;
  release: () => void;
}

/** What PostgreSQL answers to a user that is gone, or to a wrong password. */
const REJECTED = new Set(['28P01', '28000']);

/**
 * A real `pg.Pool` whose new connections log in with the current credentials. Connections of earlier credentials
 * are closed: idle ones at once, busy ones when they are released; until then the earlier lease is held.
 *
 * Resolves once the first credentials have logged in. Ends itself when the stream completes, as at shutdown.
 * `config` must not name `user`, `password` or a `connectionString` (it would override them at each connection).
 *
 * @throws VaultError `VAULT_CREDENTIALS_REJECTED` where PostgreSQL refuses the first credentials,
 * `VAULT_CONFIG_INVALID` for a config that names them, and whatever the stream errors with
 * @publicApi
 */
export function createRotatingPool(
  credentials$: Observable<DatabaseCredentials>,
  config: Omit<PoolConfig, 'user' | 'password' | 'connectionString'> = {},
): Promise<Pool> {
  for (const key of ['user', 'password', 'connectionString'] as const) {
    if ((config as PoolConfig)[key] === undefined) continue;
    return Promise.reject(
      new VaultError({
        code: 'VAULT_CONFIG_INVALID',
        message: `createRotatingPool: the config names \`${key}\`, which would override the leased credentials.`,
        hint: 'Give `host`, `port`, `database` and `ssl` separately; user and password come from the stream.',
      }),
    );
  }
  return new Promise((resolve, reject) => {
    let pool: Pool | undefined;
    let rotate: ((credentials: DatabaseCredentials) => void) | undefined;
    let letGo = () => {};
    const subscription = credentials$.subscribe({
      next(credentials) {
        if (rotate) return rotate(credentials);
        [pool, rotate, letGo] = openPool(credentials, config);
        const opened = pool;
        prove(opened).then(
          () => resolve(opened),
          (error: unknown) => {
            subscription.unsubscribe();
            void end(opened, letGo);
            reject(explain(error, credentials));
          },
        );
      },
      error(error: unknown) {
        if (pool) void end(pool, letGo);
        reject(error as Error);
      },
      complete() {
        if (pool) void end(pool, letGo);
        else reject(noCredentials());
      },
    });
  });
}

function openPool(
  first: DatabaseCredentials,
  config: PoolConfig,
): [Pool, rotate: (credentials: DatabaseCredentials) => void, letGo: () => void] {
  let era = begin(first);
  let closing = false;

  class LeasedClient extends pg.Client {
    /** What it was made with: pool options change, a client's do not. */
    readonly era = era;

    constructor(options?: string | ClientConfig) {
      super(options);
      // From construction on, so that a connection being made is under the hold, too.
      this.era.clients.add(this);
      this.once('end', () => settle(this.era, this));
    }
  }

  const settle = (of: Era, client: pg.Client) => {
    of.clients.delete(client);
    if ((of !== era || closing) && of.clients.size === 0) of.release();
  };

  const pool = new pg.Pool({
    ...config,
    user: first.username.reveal(),
    password: first.password.reveal(),
    Client: LeasedClient,
  } as PoolConfig);
  // A connection that ends itself in this event is not taken back by the pool.
  pool.on('release', (_error, client) => {
    const leased = client as unknown as LeasedClient;
    if (leased.era !== era) void leased.end().catch(() => undefined);
  });
  // Idle connections that break are replaced by the pool; without a listener they would end the process.
  pool.on('error', () => undefined);

  const letGo = () => {
    closing = true;
    if (era.clients.size === 0) era.release();
  };

  const rotate = (credentials: DatabaseCredentials) => {
    // Somebody has ended it: there is nothing to rotate, and nothing to hold.
    if (pool.ending) return letGo();
    const previous = era;
    era = begin(credentials);
    Object.assign(pool.options, {
      user: credentials.username.reveal(),
      password: credentials.password.reveal(),
    });
    if (previous.clients.size === 0) previous.release();
    else closeIdle(pool);
  };
  return [pool, rotate, letGo];
}

function begin(credentials: DatabaseCredentials): Era {
  return { credentials, clients: new Set(), release: credentials.lease.hold() };
}

/** Takes out every connection that is idle now; giving it back closes it, as it is of an earlier era. */
function closeIdle(pool: Pool): void {
  for (let idle = pool.idleCount; idle > 0; idle--) {
    pool.connect().then(
      (client: PoolClient) => client.release(),
      () => undefined,
    );
  }
}

async function prove(pool: Pool): Promise<void> {
  const client = await pool.connect();
  client.release();
}

/** Ends the pool, unless somebody has; the lease is let go of when the last connection has closed. */
async function end(pool: Pool, letGo: () => void): Promise<void> {
  const ended = pool.ended || pool.ending ? undefined : pool.end();
  letGo();
  await ended;
}

function explain(error: unknown, credentials: DatabaseCredentials): unknown {
  const { code } = error as { code?: unknown };
  if (!REJECTED.has(String(code))) return error;
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `PostgreSQL refuses the credentials issued at ${credentials.lease.path} (SQLSTATE ${String(code)}).`,
    hint:
      'The lease may be over, or the server issues users for another database: compare host and port here with the ' +
      'connection_url of the engine, and the creation_statements of the role (LOGIN, PASSWORD); check pg_hba.conf.',
    path: credentials.lease.path,
  });
}

function noCredentials(): VaultError {
  return new VaultError({
    code: 'VAULT_CLOSED',
    message: 'The stream of credentials completed before there were any.',
    hint: 'Create the pool while the application runs, not during its shutdown.',
  });
}
