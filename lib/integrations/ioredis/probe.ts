import * as ioredis from 'ioredis';
import type { RedisOptions } from 'ioredis';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import { hiddenBytes } from '../../secret/hidden.js';
import { inTime } from '../rotation/in-time.js';

/** Logs in on a connection of its own, and closes it. */
export async function prove(
  options: RedisOptions,
  { username, password }: DatabaseCredentials,
): Promise<void> {
  // Nothing is to be sent before AUTH, so that its answer is the verdict.
  const silent = {
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
    ...silent,
    lazyConnect: true,
    retryStrategy: () => null,
  } as RedisOptions);
  let failure: unknown;
  probe.on('error', (error: unknown) => (failure = error));
  try {
    const connecting = probe.connect().catch((error: unknown) => {
      throw failure ?? error;
    });
    await inTime(connecting.then(() => probe.auth(username.reveal(), hiddenBytes(password.reveal()))));
  } catch (error) {
    throw redacted(error);
  } finally {
    probe.disconnect();
  }
}

/** ioredis puts the arguments of a command that failed on its error: of AUTH, and of HELLO in RESP3, the password. */
export function redacted(error: unknown): unknown {
  const { command } = (error ?? {}) as { command?: { name?: unknown; args?: unknown } };
  if (command?.name === 'auth' || command?.name === 'hello') command.args = [];
  return error;
}
