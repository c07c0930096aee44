import pg, { type ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { checkDriver } from '../driver/check-driver.js';
import { sameUser } from '../rotation/era.js';
import { LOGIN_TIMEOUT } from '../rotation/in-time.js';
import { logins, type LoginCredentials } from '../rotation/login-credentials.js';
import { FAREWELL, type RotationDriver, type RotationOptions } from '../rotation/rotation-driver.js';
import type { Reports } from '../rotation/reports.js';
import { REPLACEMENT, Rotation } from '../rotation/rotation.js';
import type { LeasedClient } from './leased-client.js';
import { ownedObjects } from './owned-objects.js';
import { refuses, watchLogin } from './refusal.js';

/** What differs from pool to pool. */
type Pooling = RotationOptions &
  Pick<RotationDriver<LeasedClient>, 'published' | 'superseded'> & {
    inUse: (client: LeasedClient) => boolean;
    /** It was in use, and is closed: the library gets its place back, whether its user gives it back or not. */
    takeBack: (client: LeasedClient) => void;
    reports: Reports;
    onEnd: () => void;
  };

/**
 * The credentials of the clients of one pool, whoever made that.
 *
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`
 */
export function leaseClients(
  credentials$: Observable<LoginCredentials>,
  config: ClientConfig,
  { drain, published, superseded, inUse, takeBack, reports, onEnd }: Pooling,
): Rotation<LeasedClient> {
  checkDriver('pg');
  return new Rotation(
    logins(credentials$),
    {
      prove: (credentials, previous) => {
        // A static role has one user for ever.
        const gone = previous && !sameUser(previous, credentials) ? previous : undefined;
        return logIn(config, credentials, gone, reports);
      },
      leaving: async (credentials) => {
        if (credentials.lease.renewable) await logIn(config, credentials, credentials, reports, FAREWELL);
      },
      refuses,
      published,
      superseded,
      inUse,
      end: (client) => {
        if (!inUse(client)) return client.abort();
        client.cut();
        takeBack(client);
      },
    },
    { ...(drain !== undefined && { drain }), reports, onEnd },
  );
}

/**
 * Makes a connection; once more, where the credentials turn out to be over and there are new ones within some seconds,
 * or where there were new ones meanwhile: what is late by then is closed, at whatever point of the login it is.
 */
export async function connectAgain<T>(
  rotation: Rotation<LeasedClient>,
  connect: () => Promise<T>,
  isRefusal: (error: unknown) => boolean = refuses,
): Promise<T> {
  const { current } = rotation;
  try {
    return await connect();
  } catch (error) {
    if (!current || (current === rotation.current && !isRefusal(error))) throw error;
    if (!(await rotation.replaced(current, REPLACEMENT))) throw error;
    return connect();
  }
}

/**
 * Opens a connection, and closes it.
 *
 * @param leaving whose user will be dropped: what it owns is told
 * @param timeout milliseconds
 */
async function logIn(
  config: ClientConfig,
  { username, password }: DatabaseCredentials,
  leaving: DatabaseCredentials | undefined,
  reports: Reports,
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
  // It may break once its work is done, which is nobody's concern.
  client.on('error', () => undefined);
  try {
    await client.connect();
    if (!leaving) return;
    // A user who owns something cannot be dropped, so that the revocation of its lease would fail. Where that cannot be
    // found out, the login is proved all the same.
    const message = await ownedObjects(client, leaving.username.reveal()).catch(() => undefined);
    const { path, serial } = leaving.lease;
    if (message) reports.tell({ type: 'warning', path, serial, message });
  } finally {
    await client.end().catch(() => undefined);
  }
}
