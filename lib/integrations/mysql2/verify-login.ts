import mysql, { type ConnectionOptions } from 'mysql2';
import { isDatabaseDenied } from './rejection.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

/**
 * Opens one connection with these credentials, and closes it.
 *
 * @param inUse the credentials are in use: the login counts even without rights on the database, as the user exists
 */
export async function verifyLogin(
  config: ConnectionOptions,
  { username, password }: UserCredentials,
  inUse: boolean,
): Promise<void> {
  const connection = mysql.createConnection({
    ...config,
    user: username.reveal(),
    password: password.reveal(),
  });
  // An error of the connection after the login does not matter; without a listener it would end the process.
  connection.on('error', () => undefined);
  try {
    await new Promise<void>((resolve, reject) => {
      connection.connect((error) => (error ? reject(error) : resolve()));
    });
    connection.end();
  } catch (error) {
    connection.destroy();
    if (!inUse || !isDatabaseDenied(error)) throw error;
  }
}
