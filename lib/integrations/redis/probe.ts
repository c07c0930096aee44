import { createClient, type RedisClientOptions } from 'redis';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { inTime } from '../rotation/in-time.js';

/**
 * How clients connect, whatever they can do.
 *
 * @publicApi
 */
export type ConnectOptions = Pick<RedisClientOptions, 'url' | 'socket'>;

/** Logs in on a connection of its own, and closes it. */
export async function probe(
  { url, socket }: ConnectOptions,
  { username, password }: DatabaseCredentials,
): Promise<void> {
  const client = createClient({
    ...(url !== undefined && { url }),
    socket: { ...socket, reconnectStrategy: false } as NonNullable<ConnectOptions['socket']>,
    username: username.reveal(),
    password: password.reveal(),
    disableClientInfo: true,
  });
  // What it has to tell, connect() tells.
  client.on('error', () => undefined);
  try {
    await inTime(client.connect());
  } finally {
    destroy(client);
  }
}

/** Before node-redis 6.3 it throws where the client is closed already; from then on that is when it lets go of all. */
export function destroy(client: { destroy(): void }): void {
  try {
    client.destroy();
  } catch {
    // It is gone.
  }
}
