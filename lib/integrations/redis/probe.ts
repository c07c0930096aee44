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
    if (client.isOpen) client.destroy();
  }
}
