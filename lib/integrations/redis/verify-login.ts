import { createClient, type RedisClientOptions } from 'redis';
import { withLoginTimeout } from '../rotation/login-timeout.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/**
 * The address and socket options of a client.
 *
 * @publicApi
 */
export type ConnectOptions = Pick<RedisClientOptions, 'url' | 'socket'>;

/** Opens one connection with these credentials, and closes it. */
export async function verifyLogin(
  { url, socket }: ConnectOptions,
  { username, password }: UserCredentials,
): Promise<void> {
  const client = createClient({
    ...(url !== undefined && { url }),
    socket: { ...socket, reconnectStrategy: false } as NonNullable<ConnectOptions['socket']>,
    username: username.reveal(),
    password: password.reveal(),
    disableClientInfo: true,
  });
  // connect() rejects with the same error.
  client.on('error', () => undefined);
  try {
    await withLoginTimeout(client.connect());
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
