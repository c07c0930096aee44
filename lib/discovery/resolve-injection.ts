import { map, type Observable } from 'rxjs';
import type { VaultConnection } from '../connection/vault-connection.js';
import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import { toDatabaseCredentials } from '../services/credentials.service.js';
import type { InjectionDefinition } from '../vault.tokens.js';

/** What is injected for a token: an observable at once, a static secret when it has been read. */
export function resolveInjection(
  connection: VaultConnection,
  definition: InjectionDefinition,
): Observable<unknown> | Promise<unknown> {
  if (definition.kind === 'secret') return readStatic(connection, definition);
  if (definition.kind === 'credentials') return connection.leases.watch(definition.path, false);
  return connection.leases
    .watch<{ username: string; password: string }>(definition.path, false)
    .pipe(map(toDatabaseCredentials));
}

/**
 * Reads or issues all that is wanted, in parallel.
 *
 * @throws VaultError the one failure, or `VAULT_STARTUP_FAILED` naming each
 */
export async function prefetch(
  connection: VaultConnection,
  wanted: readonly InjectionDefinition[],
): Promise<void> {
  const { timeout } = connection.options.startup;
  const results = await Promise.allSettled(
    wanted.map((definition) =>
      definition.kind === 'secret'
        ? readStatic(connection, definition)
        : connection.leases.get(definition.path, timeout),
    ),
  );
  const errors = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as VaultError] : [],
  );
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) {
    throw new VaultError({
      code: 'VAULT_STARTUP_FAILED',
      message: `${errors.length} secrets that this application asks for cannot be had.`,
      hint: errors.map((error, index) => `(${index + 1}) ${error.message}`).join(' '),
      errors,
    });
  }
}

function readStatic(
  connection: VaultConnection,
  definition: Extract<InjectionDefinition, { kind: 'secret' }>,
): Promise<unknown> {
  const { statics, options } = connection;
  let pending = statics.get(definition.token);
  if (!pending) {
    pending = read(connection, definition, options.startup.timeout);
    statics.set(definition.token, pending);
    // A failure is not kept: who asks next may be luckier.
    pending.catch(() => statics.delete(definition.token));
  }
  return pending;
}

async function read(
  connection: VaultConnection,
  definition: Extract<InjectionDefinition, { kind: 'secret' }>,
  budget: number,
): Promise<Secret<unknown>> {
  const { path, key } = definition;
  const { data } = await connection.readKv<Record<string, unknown> | null>(path, definition, budget);
  if (key === undefined) return data;
  const object = data.reveal() ?? {};
  if (Object.hasOwn(object, key)) return new Secret(object[key]);
  throw new VaultError({
    code: 'VAULT_SECRET_KEY_MISSING',
    message: `The secret "${path}" has no key "${key}".`,
    hint: `It has: ${Object.keys(object).join(', ') || 'no keys at all'}.`,
    path,
  });
}
