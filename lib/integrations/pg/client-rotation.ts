import pg, { type ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import type { UserCredentials } from '../../leases/user-credentials.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { LOGIN_TIMEOUT } from '../rotation/login-timeout.js';
import type { PoolEvents } from '../rotation/pool-events.js';
import { PoolFacade, type PoolDriver } from '../rotation/pool-facade.js';
import { sameUser } from '../rotation/pool-generation.js';
import { BEFORE_END_TIMEOUT } from '../rotation/rotation-driver.js';
import type { LeasedClient } from './leased-client.js';
import { ownedObjects } from './owned-objects.js';
import { PG, watchLogin } from './rejection.js';

/** The driver-specific half of a pool of {@link LeasedClient}s. */
interface ClientDriver extends Omit<PoolDriver<LeasedClient>, 'verify' | 'beforeEnd' | 'usesOf' | 'end'> {
  isInUse: (client: LeasedClient) => boolean;
  /** Gives the place of a client back to the pool: it was closed while in use, and its user may never release it. */
  reclaim: (client: LeasedClient) => void;
}

/** Starts the rotation of a pool of {@link LeasedClient}s. */
export function createClientPool(
  credentials$: Observable<LoginCredentials>,
  config: ClientConfig,
  { isInUse, reclaim, ...driver }: ClientDriver,
): PoolFacade<LeasedClient> {
  const pool: PoolFacade<LeasedClient> = new PoolFacade<LeasedClient>(credentials$, PG, {
    ...driver,
    verify: (credentials, previous) => {
      // The user of a static role is never dropped.
      const dropped = previous && !sameUser(previous, credentials) ? previous : undefined;
      return logIn(config, credentials, dropped, pool.events);
    },
    beforeEnd: async (credentials) => {
      if (!credentials.lease.renewable) return;
      await logIn(config, credentials, credentials, pool.events, BEFORE_END_TIMEOUT);
    },
    usesOf: (client) => (isInUse(client) ? 1 : 0),
    end: (client) => {
      if (!isInUse(client)) return client.abort();
      client.abortInUse();
      reclaim(client);
    },
  });
  return pool;
}

/**
 * Opens a connection, and closes it.
 *
 * @param dropped the credentials whose user Vault will drop; a warning is emitted if that user owns objects
 * @param timeout milliseconds
 */
async function logIn(
  config: ClientConfig,
  { username, password }: UserCredentials,
  dropped: UserCredentials | undefined,
  events: PoolEvents,
  timeout = LOGIN_TIMEOUT,
): Promise<void> {
  const client = new pg.Client({
    ...config,
    // The driver's own timers run in real time.
    connectionTimeoutMillis: Math.min(config.connectionTimeoutMillis || timeout, timeout),
    query_timeout: timeout,
    user: username.reveal(),
    password: password.reveal(),
  });
  watchLogin(client);
  // An error of the connection after the login does not matter; without a listener it would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    if (!dropped) return;
    // PostgreSQL does not drop a user that owns something, so the revocation of its lease would fail. An error of this
    // query does not matter: the login succeeded.
    const message = await ownedObjects(client, dropped.username.reveal()).catch(() => undefined);
    if (message) events.emit(dropped.lease, { type: 'warning', message });
  } finally {
    await client.end().catch(() => undefined);
  }
}
