import { createClient, type RedisClientOptions } from 'redis';
import type { UserCredentials } from '../../leases/user-credentials.js';
import { clockOf } from '../rotation/clock-of.js';
import { withLoginTimeout } from '../rotation/login-timeout.js';

/**
 * The address and socket options of a client.
 *
 * @publicApi
 */
export type ConnectOptions = Pick<RedisClientOptions, 'url' | 'socket'>;

/** Opens one connection with these credentials, and closes it. */
export async function verifyLogin(
  { url, socket }: ConnectOptions,
  credentials: UserCredentials,
): Promise<void> {
  const client = createClient({
    ...(url !== undefined && { url }),
    socket: { ...socket, reconnectStrategy: false } as NonNullable<ConnectOptions['socket']>,
    username: credentials.username.reveal(),
    password: credentials.password.reveal(),
    disableClientInfo: true,
  });
  // connect() rejects with the same error.
  client.on('error', () => undefined);
  try {
    await withLoginTimeout(client.connect(), clockOf(credentials));
  } finally {
    destroy(client);
  }
}

/**
 * Destroys a client. Before node-redis 6.3, `destroy()` throws for a closed client; since then it frees the rest of
 * its resources.
 */
export function destroy(client: { destroy(): void }): void {
  try {
    client.destroy();
  } catch {
    // It is closed already.
  }
}
