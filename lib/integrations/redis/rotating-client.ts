import {
  createClient,
  type RedisClientOptions,
  type RedisFunctions,
  type RedisModules,
  type RedisScripts,
  type RespVersions,
  type TypeMapping,
} from 'redis';
import type { Observable } from 'rxjs';
import { withLoginTimeout } from '../rotation/login-timeout.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { firstLoginError, poolOptions } from '../rotation/pool-kind.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';
import { destroy } from './verify-login.js';
import { NODE_REDIS } from './rejection.js';
import { rotatingRedisCredentials, type RotatingRedisCredentials } from './rotating-credentials.js';

/**
 * Creates a client of node-redis with {@link rotatingRedisCredentials} and connects it; rejects if the first attempt
 * fails, or takes longer than 10 s. The client emits `'rotation'` with a `PoolEvent`. It and its duplicates close
 * themselves when the stream completes.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options that name credentials, `VAULT_DRIVER_TOO_OLD`,
 * `VAULT_CREDENTIALS_REJECTED` if Redis rejects them, `VAULT_CLOSED` if the stream completed without any, and any error
 * of the stream
 * @publicApi
 */
export async function createRotatingRedisClient<
  M extends RedisModules,
  F extends RedisFunctions,
  S extends RedisScripts,
  RESP extends RespVersions = 3,
  T extends TypeMapping = Record<never, never>,
>(
  credentials$: Observable<LoginCredentials>,
  options: RedisClientOptions<M, F, S, RESP, T> & RotationOptions = {},
): Promise<ReturnType<typeof createClient<M, F, S, RESP, T>>> {
  const { url, socket } = options;
  const { drain, rest } = poolOptions(NODE_REDIS, options, url === undefined ? [] : [url]);
  const credentialsProvider = rotatingRedisCredentials(credentials$, {
    drain,
    connect: { ...(url !== undefined && { url }), ...(socket && { socket }) },
  });
  const client = createClient<M, F, S, RESP, T>({ ...rest, credentialsProvider } as typeof rest);
  closeWithStream(client as unknown as Client, credentialsProvider);
  credentialsProvider.on('rotation', (event) => client.emit('rotation', event));
  try {
    // connect() alone would try again without an end.
    const connecting = new Promise<unknown>((resolve, reject) => {
      client.once('error', reject);
      client.connect().then(resolve, reject);
    });
    // The timeout starts with the first credentials: a server that accepts a connection may never answer.
    const limited = credentialsProvider
      .ready()
      .then(() => withLoginTimeout(connecting, credentialsProvider.clock));
    await Promise.race([connecting, limited]);
  } catch (error) {
    destroy(client);
    credentialsProvider.endNow();
    throw firstLoginError(NODE_REDIS, error, credentialsProvider.path);
  }
  return client;
}

type Client = ReturnType<typeof createClient>;

/** Closes a client and its duplicates when the stream completes, and releases the lease after the last of them. */
function closeWithStream(client: Client, provider: RotatingRedisCredentials): Client {
  const close = () => {
    // The client unsubscribes before it waits for the commands under way, so the lease needs a hold.
    const releaseHold = provider.hold();
    void client
      .close()
      .catch(() => undefined)
      .finally(releaseHold);
  };
  // node-redis reopens a broken connection; without a listener the error would end the process.
  client.on('error', () => undefined);
  client.on('connect', () => provider.off('end', close).on('end', close));
  client.on('end', () => {
    provider.off('end', close);
    // The client unsubscribes later in this tick.
    setImmediate(() => provider.endIfUnused());
  });
  const duplicate = client.duplicate.bind(client) as (overrides?: RedisClientOptions) => Client;
  const rotating = (overrides?: RedisClientOptions) => {
    const copy = duplicate(overrides);
    return copy.options.credentialsProvider === provider ? closeWithStream(copy, provider) : copy;
  };
  return Object.assign(client, { duplicate: rotating });
}
