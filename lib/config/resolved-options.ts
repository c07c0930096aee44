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
import { resolveAddresses } from './addresses.js';
import { HEADER_VALUE, readHeaders, RESERVED_OF_CONNECTION } from '../client/headers.js';
import { bareNamespace, isNamespace } from '../client/namespace.js';
import type {
  RenewalOptions,
  RetryOptions,
  ShutdownOptions,
  StartupOptions,
  VaultOptions,
} from './options.js';
import { resolveTls } from '../client/tls.js';

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
  allowHttp: false,
  timeout: 10_000,
  retry: { initialDelay: 500, maxDelay: 300_000, jitter: 0.5 },
  renewal: { at: 0.66, jitter: 0.05, grace: 30_000 },
  startup: { login: 'required', timeout: 10_000 },
  shutdown: { timeout: 5_000, revoke: true, exitTimeout: 3_000 },
  concurrency: 8,
} as const;

const MAX_TIMEOUT = 2 ** 31 - 1;
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
  const number = (label: string, value: unknown, min: number, max: number) => {
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      problems.push(`\`${label}\` must be a number from ${min} to ${max}`);
    }
  };

  const retry = group<Required<RetryOptions>>('retry', DEFAULTS.retry);
  const renewal = group<Required<RenewalOptions>>('renewal', DEFAULTS.renewal);
  const startup = group<Required<StartupOptions>>('startup', DEFAULTS.startup);
  const shutdown = group<Required<ShutdownOptions>>('shutdown', DEFAULTS.shutdown);
  const timeout = given.timeout ?? DEFAULTS.timeout;
  const concurrency = given.concurrency ?? DEFAULTS.concurrency;
  const allowHttp = given.allowHttp ?? DEFAULTS.allowHttp;

  number('timeout', timeout, 1, MAX_TIMEOUT);
  number('retry.initialDelay', retry.initialDelay, 1, MAX_TIMEOUT);
  number('retry.maxDelay', retry.maxDelay, 1, MAX_TIMEOUT);
  number('retry.jitter', retry.jitter, 0, 1);
  number('renewal.at', renewal.at, 0.1, 0.9);
  number('renewal.jitter', renewal.jitter, 0, 0.1);
  number('renewal.grace', renewal.grace, 0, MAX_TIMEOUT);
  number('startup.timeout', startup.timeout, 0, MAX_TIMEOUT);
  number('shutdown.timeout', shutdown.timeout, 0, MAX_TIMEOUT);
  number('shutdown.exitTimeout', shutdown.exitTimeout, 0, MAX_TIMEOUT);
  number('concurrency', concurrency, 1, 1024);
  if (!['required', 'deferred'].includes(startup.login)) {
    problems.push('`startup.login` must be "required" or "deferred"');
  }
  if (typeof shutdown.revoke !== 'boolean') problems.push('`shutdown.revoke` must be true or false');
  if (typeof allowHttp !== 'boolean') problems.push('`allowHttp` must be true or false');
  const engines = resolveEngineOptions(given, problems);
  problems.push(...authProblems(given.auth));
  const addresses = resolveAddresses(given.address, problems);
  const namespace = resolveNamespace(given.namespace, problems);
  const headers = given.headers !== undefined && resolveHeaders(given.headers, problems);
  const tls = resolveTls(given.tls, problems);
  if (given.tls !== undefined && addresses.some((address) => address.startsWith('http:'))) {
    problems.push('`tls` is given, but an `address` starts with http://');
  }
  const known = [
    'address',
    'auth',
    'namespace',
    'headers',
    'tls',
    ...Object.keys({ ...DEFAULTS, ...ENGINE_DEFAULTS }),
  ];
  const unknown = Object.keys(given).filter((key) => !known.includes(key));
  if (unknown.length > 0) problems.push(`there is no option ${listed(unknown, '`')}`);

  if (problems.length > 0) throw invalidOptions(name, problems);
  return Object.freeze({
    name,
    addresses,
    auth: given.auth as AuthMethod,
    ...(namespace && { namespace }),
    ...(headers && { headers }),
    ...(tls && { tls }),
    allowHttp,
    timeout,
    retry,
    renewal,
    startup,
    shutdown,
    ...engines,
    concurrency,
  });
}

/** One error for any number of problems with the options. */
export function invalidOptions(name: string, problems: readonly string[]): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The options of the Vault connection "${name}" are invalid: ${problems.join('; ')}.`,
    hint: 'Correct each of these in the call of VaultModule.forRoot, forRootAsync, or connectVault.',
  });
}

function resolveNamespace(namespace: unknown, problems: string[]): string | undefined {
  if (namespace === undefined || namespace === '') return undefined;
  if (typeof namespace !== 'string') {
    problems.push('`namespace` must be a string');
    return undefined;
  }
  const trimmed = bareNamespace(namespace);
  if (!/^[\x21-\x7e]+$/.test(trimmed) || !isNamespace(trimmed)) {
    problems.push('`namespace` must be names separated by "/", without spaces, ".." or control characters');
  }
  return trimmed;
}

/** Checks `headers`, whose values may be secret, as the key of a gateway. */
function resolveHeaders(headers: unknown, problems: string[]): Readonly<Record<string, string>> {
  const read = readHeaders(headers, RESERVED_OF_CONNECTION, (problem, hint) =>
    problems.push(`\`headers\`: ${problem}. ${hint}`.replace(/\.$/, '')),
  );
  for (const [name, value] of Object.entries(read))
    if (!HEADER_VALUE.test(value))
      problems.push(
        `\`headers\`: the value of "${name}" contains characters that cannot be sent in a header`,
      );
  return Object.freeze(read);
}

function definedOnly(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined));
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
