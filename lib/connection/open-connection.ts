import { startFailed } from '../errors/common-errors.js';
import type { VaultConnection } from './vault-connection.js';
import type { VaultConnections } from './vault-connections.js';

/**
 * Opens a connection. If that fails in the start of the application, all connections that have begun are closed: after a
 * failed start there is no shutdown that would do so.
 *
 * @param create creates the connection; it may throw
 * @param start logs in; not called if the login is deferred
 */
export async function openConnection(
  connections: VaultConnections,
  name: string,
  create: () => VaultConnection,
  start: (connection: VaultConnection) => Promise<unknown>,
): Promise<VaultConnection> {
  let connection: VaultConnection | undefined;
  try {
    connections.optionsKnown(name);
    connection = create();
    connections.begin(connection);
    const { login, timeout } = connection.startup;
    if (login === 'required')
      await start(connection).catch((error: unknown) => {
        throw startFailed(error, timeout);
      });
    connections.add(connection);
    return connection;
  } catch (error) {
    throw await connections.fail(name, error, connection);
  }
}
