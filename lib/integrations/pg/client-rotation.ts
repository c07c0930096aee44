import pg, { type ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import { checkDriver } from '../driver/check-driver.js';
import { toLogins, type LoginCredentials } from '../rotation/login-credentials.js';
import { LOGIN_TIMEOUT } from '../rotation/login-timeout.js';
import type { PoolEvents } from '../rotation/pool-events.js';
import { sameUser } from '../rotation/pool-generation.js';
import {
  BEFORE_END_TIMEOUT,
  type RotationDriver,
  type RotationOptions,
} from '../rotation/rotation-driver.js';
import { REPLACEMENT_TIMEOUT, Rotation } from '../rotation/rotation.js';
import type { LeasedClient } from './leased-client.js';
import { ownedObjects } from './owned-objects.js';
import { isLoginRejected, watchLogin } from './rejection.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/** The callbacks and options of one pool. */
type ClientRotationOptions = RotationOptions &
  Pick<RotationDriver<LeasedClient>, 'onPublished' | 'onSuperseded'> & {
    isInUse: (client: LeasedClient) => boolean;
    /** Gives the place of a client back to the pool: it was closed while in use, and its user may never release it. */
    reclaim: (client: LeasedClient) => void;
    events: PoolEvents;
    onEnd: () => void;
  };

/**
 * Starts a rotation for a pool of {@link LeasedClient}s.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 */
export function createClientRotation(
  credentials$: Observable<LoginCredentials>,
  config: ClientConfig,
  { drain, onPublished, onSuperseded, isInUse, reclaim, events, onEnd }: ClientRotationOptions,
): Rotation<LeasedClient> {
  checkDriver('pg');
  return new Rotation(
    toLogins(credentials$),
    {
      verify: (credentials, previous) => {
        // The user of a static role is never dropped.
        const dropped = previous && !sameUser(previous, credentials) ? previous : undefined;
        return logIn(config, credentials, dropped, events);
      },
      beforeEnd: async (credentials) => {
        if (!credentials.lease.renewable) return;
        await logIn(config, credentials, credentials, events, BEFORE_END_TIMEOUT);
      },
      isLoginRejected,
      onPublished,
      onSuperseded,
      isInUse,
      end: (client) => {
        if (!isInUse(client)) return client.abort();
        client.abortInUse();
        reclaim(client);
      },
    },
    { ...(drain !== undefined && { drain }), events, onEnd },
  );
}

/**
 * Opens a connection. Tries once more with newer credentials if the login is rejected and they arrive within {@link
 * REPLACEMENT_TIMEOUT}, or if they arrived during the attempt: that one was aborted then, at any point of its login.
 */
export async function connectWithRetry<T>(
  rotation: Rotation<LeasedClient>,
  connect: () => Promise<T>,
  isRejection: (error: unknown) => boolean = isLoginRejected,
): Promise<T> {
  const { current } = rotation;
  try {
    return await connect();
  } catch (error) {
    if (!current || (current === rotation.current && !isRejection(error))) throw error;
    if (!(await rotation.waitForReplacement(current, REPLACEMENT_TIMEOUT))) throw error;
    return connect();
  }
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
    const { path, serial } = dropped.lease;
    if (message) events.emit({ type: 'warning', path, serial, message });
  } finally {
    await client.end().catch(() => undefined);
  }
}
