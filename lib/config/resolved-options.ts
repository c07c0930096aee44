import type { ClientOptions } from '../client/client-options.js';
import type { AuthMethod } from '../auth/auth-method.js';
import { authProblems } from '../auth/auth-problems.js';
import { classOf, listed, printable } from '../errors/printable.js';
import { unknownOptions } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import {
  ENGINE_DEFAULTS,
  resolveEngineOptions,
  type ResolvedEngineOptions,
} from '../engines/engine-options.js';
import { checkNumber, MAX_TIMEOUT, NETWORK_OPTIONS, resolveNetworkOptions } from './network-options.js';
import type {
  RenewalOptions,
  RetryOptions,
  ShutdownOptions,
  StartupOptions,
  VaultOptions,
} from './options.js';

/** Options with every default in place; frozen. */
export interface ResolvedOptions extends ClientOptions, ResolvedEngineOptions {
  readonly auth: AuthMethod;
  readonly retry: Required<RetryOptions>;
  readonly renewal: Required<RenewalOptions>;
  readonly startup: Required<StartupOptions>;
  readonly shutdown: Required<ShutdownOptions>;
  readonly concurrency: number;
}

/** The name of the connection without a given name. */
export const DEFAULT_CONNECTION = 'default';

const DEFAULTS = {
  retry: { initialDelay: 500, maxDelay: 300_000, jitter: 0.5 },
  renewal: { at: 0.66, jitter: 0.05, grace: 30_000, ttl: Infinity },
  startup: { login: 'required', timeout: 10_000 },
  shutdown: { timeout: 5_000, revoke: true, exitTimeout: 3_000 },
  concurrency: 8,
} as const;

const LONGEST_NAME = 128;

/**
 * Applies the defaults and checks everything at once.
 *
 * Checked by hand: common validation libraries print the refused value, which here can be a token in the wrong place.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID`, its message naming every problem
 */
export function resolveOptions(options: VaultOptions, name = DEFAULT_CONNECTION): ResolvedOptions {
  assertName(name);
  return readOptions(name, () => resolve(options, name));
}

/** Reads options of the application: a getter may throw, and its error may show a value. */
export function readOptions<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof VaultError) throw error;
    throw invalidOptions(name, [`reading them failed with ${classOf(error)}`]);
  }
}

/**
 * Checks the name of a connection, which is in each log line.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export function assertName(name: unknown): void {
  if (typeof name === 'string' && name !== '' && name.length <= LONGEST_NAME && printable(name) === name)
    return;
  throw invalidOptions('?', [
    `\`name\` must be a string of 1 to ${LONGEST_NAME} characters, without control characters`,
  ]);
}

function resolve(options: VaultOptions, name: string): ResolvedOptions {
  const problems: string[] = [];
  const given: Partial<VaultOptions> = isObject(options) ? options : {};
  if (!isObject(options)) problems.push('the options are missing');

  const group = <T extends object>(key: keyof VaultOptions, defaults: T): T => {
    const value: unknown = given[key] ?? {};
    if (!isObject(value)) problems.push(`\`${key}\` must be an object`);
    const members = isObject(value) ? value : {};
    problems.push(...unknownOptions(key, members, Object.keys(defaults)));
    return Object.freeze({ ...defaults, ...definedOnly(members) }) as T;
  };
  const number = (label: string, value: unknown, min: number, max: number) =>
    checkNumber(label, value, min, max, problems);

  const retry = group<Required<RetryOptions>>('retry', DEFAULTS.retry);
  const renewal = group<Required<RenewalOptions>>('renewal', DEFAULTS.renewal);
  const startup = group<Required<StartupOptions>>('startup', DEFAULTS.startup);
  const shutdown = group<Required<ShutdownOptions>>('shutdown', DEFAULTS.shutdown);
  const concurrency = given.concurrency ?? DEFAULTS.concurrency;

  number('retry.initialDelay', retry.initialDelay, 1, MAX_TIMEOUT);
  number('retry.maxDelay', retry.maxDelay, 1, MAX_TIMEOUT);
  number('retry.jitter', retry.jitter, 0, 1);
  number('renewal.at', renewal.at, 0.1, 0.9);
  number('renewal.jitter', renewal.jitter, 0, 0.1);
  number('renewal.grace', renewal.grace, 0, MAX_TIMEOUT);
  number('renewal.ttl', renewal.ttl, 2_000, Infinity);
  number('startup.timeout', startup.timeout, 0, MAX_TIMEOUT);
  number('shutdown.timeout', shutdown.timeout, 0, MAX_TIMEOUT);
  number('shutdown.exitTimeout', shutdown.exitTimeout, 0, MAX_TIMEOUT);
  number('concurrency', concurrency, 1, 1024);
  if (!['required', 'deferred'].includes(startup.login)) {
    problems.push('`startup.login` must be "required" or "deferred"');
  }
  if (typeof shutdown.revoke !== 'boolean') problems.push('`shutdown.revoke` must be true or false');
  const engines = resolveEngineOptions(given, problems);
  problems.push(...authProblems(given.auth));
  const network = resolveNetworkOptions(given, problems);
  problems.push(...certificateProblems(given, network.addresses));
  const known = ['auth', ...NETWORK_OPTIONS, ...Object.keys({ ...DEFAULTS, ...ENGINE_DEFAULTS })];
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  if (unknown.length > 0) problems.push(`there is no option ${listed(unknown, '`')}`);

  if (problems.length > 0) throw invalidOptions(name, problems);
  return Object.freeze({
    name,
    auth: given.auth as AuthMethod,
    ...network,
    retry,
    renewal,
    startup,
    shutdown,
    ...engines,
    concurrency,
  });
}

/** The problems of a method that needs the client certificate of the connection. */
function certificateProblems({ auth, tls }: Partial<VaultOptions>, addresses: readonly string[]): string[] {
  if (!isObject(auth) || auth.clientCertificate !== true) return [];
  const label = `\`auth\` (${auth.name}) logs in with a client certificate`;
  if (addresses.some((address) => !address.startsWith('https:')))
    return [`${label}, which needs https:// in each \`address\``];
  return (tls?.cert ?? tls?.pfx) === undefined ? [`${label}: give \`tls.cert\` and \`tls.key\``] : [];
}

/** One error for any number of problems with the options. */
export function invalidOptions(name: string, problems: readonly string[]): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The options of the Vault connection "${name}" are invalid: ${problems.join('; ')}.`,
    hint: 'Correct each of these in the call of VaultModule.forRoot, forRootAsync, or connectVault.',
  });
}

function definedOnly(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
