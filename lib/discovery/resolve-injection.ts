import { map, type Observable } from 'rxjs';
import { background } from '../clock/background.js';
import type { VaultConnection } from '../connection/vault-connection.js';
import type { StaticSecret } from '../engines/static-secrets.js';
import { listed, printable } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import type { InjectionDefinition } from '../vault.tokens.js';
import { isUserData, toUserCredentials, type UserData } from '../leases/user-credentials.js';

/** Minimum time of a first read in milliseconds, so that it is tried once. */
const ONE_TRY = 1_000;

/** The injected value of a token: an observable at once, a static secret after its read. */
export function resolveInjection(
  connection: VaultConnection,
  definition: InjectionDefinition,
): Observable<unknown> | Promise<unknown> {
  if (definition.kind === 'secret') return readStatic(connection, definition, connection.startup.timeout);
  if (definition.kind === 'credentials') return connection.leases.watch(definition.path, false);
  return connection.leases
    .watch<UserData>(definition.path, false, undefined, isUserData)
    .pipe(map(toUserCredentials));
}

/**
 * Reads or issues all wanted secrets in parallel.
 *
 * @throws VaultError the only failure, or `VAULT_STARTUP_FAILED` naming each
 */
export async function prefetch(
  connection: VaultConnection,
  wanted: readonly InjectionDefinition[],
  budget: number,
): Promise<void> {
  const results = await Promise.allSettled(
    wanted.map((definition) =>
      definition.kind === 'secret'
        ? readStatic(connection, definition, budget)
        : connection.leases.get(
            definition.path,
            Math.max(budget, ONE_TRY),
            undefined,
            definition.kind === 'user' ? isUserData : undefined,
          ),
    ),
  );
  const error = oneError(
    results,
    (count) => `${count} secrets that this application injects could not be read.`,
  );
  if (error) throw error;
}

/** The only failure among some results, or one error that names each. One failure may have several results. */
export function oneError(
  results: readonly PromiseSettledResult<unknown>[],
  message: (count: number) => string,
): VaultError | undefined {
  const errors = [
    ...new Set(
      results.flatMap((result) => {
        if (result.status === 'fulfilled') return [];
        const error = result.reason as VaultError;
        return error.errors ?? [error];
      }),
    ),
  ];
  if (errors.length < 2) return errors[0];
  return new VaultError({
    code: 'VAULT_STARTUP_FAILED',
    message: message(errors.length),
    hint: errors.map((error, index) => `(${index + 1}) ${error.message}`).join(' '),
    errors,
  });
}

async function readStatic(
  connection: VaultConnection,
  definition: Extract<InjectionDefinition, { kind: 'secret' }>,
  budget: number,
): Promise<Secret<unknown>> {
  const { data } = await readOnce(connection, definition, budget);
  return memberOf(data, definition);
}

/** The value of a key of a secret, or the secret itself. */
export function memberOf(
  data: Secret<unknown>,
  { path, key }: { path: string; key?: string },
): Secret<unknown> {
  if (key === undefined) return data;
  const object = (data.reveal() ?? {}) as Record<string, unknown>;
  if (Object.hasOwn(object, key)) return new Secret(object[key]);
  throw new VaultError({
    code: 'VAULT_SECRET_KEY_MISSING',
    message: `The secret "${path}" has no key "${printable(key, 100)}".`,
    hint: `Existing keys: ${listed(Object.keys(object)) || 'none'}.`,
    path,
  });
}

/** Reads a version of a secret once, for any number of its keys. */
export function readOnce(
  connection: VaultConnection,
  secret: { path: string; mount?: string; version?: number },
  budget: number,
): Promise<StaticSecret> {
  const { statics } = connection;
  const { path, mount = 'secret', version } = secret;
  const id = JSON.stringify([mount, path, version]);
  let pending = statics.get(id);
  if (!pending) {
    const options = { mount, ...(version !== undefined && { version }) };
    // In the background context: a promise keeps the context of its creation, and this one is kept with the connection.
    pending = background(() => connection.secrets.read(path, options, budget));
    statics.set(id, pending);
    // A failure is not cached: the next injection tries again.
    pending.catch(() => statics.delete(id));
  }
  return pending;
}
