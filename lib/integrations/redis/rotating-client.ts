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
import { VaultError } from '../../errors/vault-error.js';
import { inTime } from '../rotation/in-time.js';
import { type LoginCredentials } from '../rotation/login-credentials.js';
import type { RotationOptions } from '../rotation/rotation-driver.js';
import { destroy } from './probe.js';
import { refuses, rejected } from './refusal.js';
import { rotatingCredentials, type RotatingCredentials } from './rotating-credentials.js';

/**
 * A client of node-redis with {@link rotatingCredentials}, connected; where the first try fails, or takes 10 s, it
 * rejects. The client emits `'rotation'` with a `PoolEvent`. It and its duplicates close themselves when the stream
 * completes.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` for options that name credentials, `VAULT_DRIVER_TOO_OLD`, `VAULT_CREDENTIALS_REJECTED` where Redis
 * refuses them, `VAULT_CLOSED` where there were none, and whatever the stream errors with
 * @publicApi
 */
export async function createRotatingClient<
  M extends RedisModules,
  F extends RedisFunctions,
  S extends RedisScripts,
  RESP extends RespVersions = 3,
  T extends TypeMapping = Record<never, never>,
>(
  credentials$: Observable<LoginCredentials>,
  options: RedisClientOptions<M, F, S, RESP, T> & RotationOptions = {},
): Promise<ReturnType<typeof createClient<M, F, S, RESP, T>>> {
  const { drain, ...rest } = options;
  refuseCredentials(rest);
  const { url, socket } = rest;
  const credentialsProvider = rotatingCredentials(credentials$, {
    ...(drain !== undefined && { drain }),
    connect: { ...(url !== undefined && { url }), ...(socket && { socket }) },
  });
  const client = createClient<M, F, S, RESP, T>({ ...rest, credentialsProvider } as typeof rest);
  lead(client as unknown as Client, credentialsProvider);
  credentialsProvider.on('rotation', (event) => client.emit('rotation', event));
  try {
    // By itself it would try on and on.
    const connecting = new Promise<unknown>((resolve, reject) => {
      client.once('error', reject);
      client.connect().then(resolve, reject);
    });
    // How long credentials take is for their stream to say; what accepts a connection need not ever answer.
    await Promise.race([connecting, credentialsProvider.ready().then(() => inTime(connecting))]);
  } catch (error) {
    destroy(client);
    credentialsProvider.abandon();
    throw refuses(error) ? rejected(credentialsProvider.path) : error;
  }
  return client;
}

type Client = ReturnType<typeof createClient>;

/** Sees to the end of a client and of its duplicates. */
function lead(client: Client, provider: RotatingCredentials): Client {
  const close = () => {
    // It unsubscribes first, and then waits for the commands under way.
    const letGo = provider.hold();
    void client
      .close()
      .catch(() => undefined)
      .finally(letGo);
  };
  // A connection that breaks is made again; without a listener it would end the process.
  client.on('error', () => undefined);
  client.on('connect', () => provider.off('end', close).on('end', close));
  client.on('end', () => {
    provider.off('end', close);
    // It unsubscribes a moment later.
    setImmediate(() => provider.left());
  });
  const duplicate = client.duplicate.bind(client) as (overrides?: RedisClientOptions) => Client;
  const rotating = (overrides?: RedisClientOptions) => {
    const copy = duplicate(overrides);
    return copy.options.credentialsProvider === provider ? lead(copy, provider) : copy;
  };
  return Object.assign(client, { duplicate: rotating });
}

function refuseCredentials(options: Pick<RedisClientOptions, (typeof NAMES)[number] | 'url'>): void {
  const named = NAMES.find((name) => options[name] !== undefined);
  const name = named ?? (USER.test(options.url ?? '') ? 'url' : undefined);
  if (name === undefined) return;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The options of a rotating client name credentials in \`${name}\`; they come from the stream.`,
    hint: 'Leave them out; for a client with credentials of its own use `createClient()`.',
  });
}

const NAMES = ['username', 'password', 'credentialsProvider'] as const;
/** A URL with a user in it. */
const USER = /^\w+:\/\/[^/?#]*@/;
