import { map, type Observable } from 'rxjs';
import type { VaultConnection } from '../connection/vault-connection.js';
import { listed } from '../errors/printable.js';
import { isTransient, VaultError, withSentence } from '../errors/vault-error.js';
import type { InjectionDefinition } from '../vault.tokens.js';
import { isUserData, toUserCredentials, type UserData } from '../leases/user-credentials.js';

/** Minimum time of a first read in milliseconds, so that it is tried once. */
const ONE_TRY = 1_000;

/** A secret that an application needs. */
export interface Wanted {
  readonly definition: InjectionDefinition;
  /** Whether all that inject it can do without (`@Optional()` of Nest). */
  readonly optional: boolean;
  /** Names of the modules that inject or declare it. */
  readonly modules: readonly string[];
}

/** The injected value of a token: an observable at once, a static secret after its read. */
export function resolveInjection(
  connection: VaultConnection,
  definition: InjectionDefinition,
): Observable<unknown> | Promise<unknown> {
  if (definition.kind === 'secret') return readSecret(connection, definition, connection.startup.timeout);
  if (definition.kind === 'credentials')
    return connection.leases.watch(definition.path, false, definition.parameters);
  return connection.leases
    .watch<UserData>(definition.path, false, undefined, isUserData)
    .pipe(map(toUserCredentials));
}

/** The same for an optional secret: undefined if the server does not have it. */
export async function resolveOptional(connection: VaultConnection, wanted: Wanted): Promise<unknown> {
  const { definition } = wanted;
  const { injected, startup } = connection;
  const absence = injected.absenceOf(definition.token);
  if (absence === undefined) await prefetch(connection, [wanted], startup.timeout);
  if (absence === 'old') await lookAgain(connection, definition);
  return injected.absenceOf(definition.token) ? undefined : resolveInjection(connection, definition);
}

/** A module that is loaded later gets a secret that was written after the start. */
async function lookAgain(connection: VaultConnection, definition: InjectionDefinition): Promise<void> {
  const { injected } = connection;
  // Until it is found, other consumers do not wait for this request.
  injected.setAbsent(definition.token);
  try {
    await firstRead(connection, definition, ONE_TRY);
    injected.setPresent(definition.token);
  } catch (error) {
    if (!isAbsent(error) && !(error instanceof VaultError && isTransient(error))) throw error;
  }
}

/**
 * Reads or issues all wanted secrets in parallel.
 *
 * @throws VaultError the only failure, or `VAULT_STARTUP_FAILED` naming each
 */
export async function prefetch(
  connection: VaultConnection,
  wanted: readonly Wanted[],
  budget: number,
): Promise<void> {
  const results = await Promise.allSettled(
    wanted.map(({ definition }) => firstRead(connection, definition, budget)),
  );
  // A path that is injected in two forms fails once.
  const failures = new Map<unknown, Set<string>>();
  for (const [index, result] of results.entries()) {
    const { definition, optional, modules } = wanted[index] as Wanted;
    if (result.status === 'fulfilled') continue;
    if (optional && isAbsent(result.reason)) {
      connection.injected.setAbsent(definition.token);
      continue;
    }
    const needing = failures.get(result.reason) ?? new Set();
    failures.set(result.reason, needing);
    for (const name of modules) needing.add(name);
  }
  const named = [...failures].map(([error, modules]) => withModules(error as VaultError, [...modules]));
  const error = oneError(
    named,
    (count) => `${count} secrets that this application injects could not be read.`,
  );
  if (error) throw error;
}

/** The reasons of the failures among some results. One failure may have several results. */
export function failuresOf(results: readonly PromiseSettledResult<unknown>[]): VaultError[] {
  const reasons = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as VaultError] : [],
  );
  return [...new Set(reasons.flatMap((error) => error.errors ?? [error]))];
}

/** The only error, or one error that names each. */
export function oneError(
  errors: readonly VaultError[],
  message: (count: number) => string,
): VaultError | undefined {
  if (errors.length < 2) return errors[0];
  return new VaultError({
    code: 'VAULT_STARTUP_FAILED',
    message: message(errors.length),
    hint: errors.map((error, index) => `(${index + 1}) ${error.message}`).join(' '),
    errors,
  });
}

function firstRead(
  connection: VaultConnection,
  definition: InjectionDefinition,
  budget: number,
): Promise<unknown> {
  if (definition.kind === 'secret') return readSecret(connection, definition, budget);
  const { path, kind } = definition;
  const parameters = kind === 'credentials' ? definition.parameters : undefined;
  const requirement = kind === 'user' ? isUserData : undefined;
  return connection.leases.get(path, Math.max(budget, ONE_TRY), parameters, requirement);
}

function readSecret(
  { injected }: VaultConnection,
  definition: Extract<InjectionDefinition, { kind: 'secret' }>,
  budget: number,
): Promise<unknown> {
  return definition.watch ? injected.watch(definition, budget) : injected.read(definition, budget);
}

/** An error with the modules of the application that need the secret. */
function withModules(error: VaultError, modules: readonly string[]): VaultError {
  return modules.length > 0 ? withSentence(error, `It is needed by ${listed(modules)}.`) : error;
}

/** Whether the server has answered that there is no such secret. A denied one may exist. */
export function isAbsent(error: unknown): boolean {
  if (!(error instanceof VaultError)) return false;
  const { code, status } = error;
  if (code === 'VAULT_ROLE_NOT_FOUND' || code === 'VAULT_SECRET_KEY_MISSING') return true;
  const codes = ['VAULT_SECRET_NOT_FOUND', 'VAULT_SECRET_DELETED', 'VAULT_SECRET_DESTROYED'];
  return status === 404 && codes.includes(code);
}
