import * as ioredis from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { UserCredentials } from '../../leases/user-credentials.js';
import { hiddenBytes } from '../../secret/hidden.js';
import { clockOf } from '../rotation/clock-of.js';
import { withLoginTimeout } from '../rotation/login-timeout.js';

/** Opens one connection with these credentials, and closes it. */
export async function verifyLogin(options: RedisOptions, credentials: UserCredentials): Promise<void> {
  const { username, password } = credentials;
  // AUTH has to be the first command, so that its reply decides.
  const authFirst = {
    protocol: 2,
    replyMapping: 'legacy',
    himportFieldsets: undefined,
    enableReadyCheck: false,
    disableClientInfo: true,
    db: 0,
    readOnly: false,
    monitor: false,
  };
  const probe = new ioredis.Redis({
    ...options,
    ...authFirst,
    lazyConnect: true,
    retryStrategy: () => null,
  } as RedisOptions);
  let failure: unknown;
  probe.on('error', (error: unknown) => (failure = error));
  try {
    const connecting = probe.connect().catch((error: unknown) => {
      throw failure ?? error;
    });
    const login = connecting.then(() => probe.auth(username.reveal(), hiddenBytes(password.reveal())));
    await withLoginTimeout(login, clockOf(credentials));
  } catch (error) {
    throw redacted(error);
  } finally {
    probe.disconnect();
  }
}

/**
 * Removes the password from an error: ioredis adds the arguments of the failed command, here AUTH, or HELLO in RESP3.
 */
export function redacted(error: unknown): unknown {
  const { command } = (error ?? {}) as { command?: { name?: unknown; args?: unknown } };
  if (command?.name === 'auth' || command?.name === 'hello') command.args = [];
  return error;
}
