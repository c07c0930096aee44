import { createHmac, randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { isObject } from './client/answer-members.js';
import { encodeApiPath, encodeMount, encodePath } from './client/path.js';
import { DEFAULT_CONNECTION } from './config/resolved-options.js';
import { databasePath } from './engines/database/database-path.js';
import { intervalProblem } from './engines/static-secrets.js';
import { unknownOptions, wrongTypes } from './errors/unknown-options.js';
import { parametersKey, type IssueParameters } from './engines/engine.js';
import { VaultError } from './errors/vault-error.js';
import { isSchema, type SecretSchema } from './schema/schema.js';

/**
 * The target of `@InjectCredentials`: the name of a database role, or the full path of any lease-backed secret.
 * `parameters` are sent with each issue, as `{ common_name: 'orders.internal' }` of `pki/issue/orders`: the same path with
 * other parameters is another secret.
 *
 * @publicApi
 */
export type CredentialsTarget = string | { path: string; parameters?: IssueParameters };

/**
 * Options of `@InjectCredentials` and {@link getCredentialsToken}.
 *
 * @publicApi
 */
export interface InjectCredentialsOptions {
  /** Mount of the database engine; for roles only. @default 'database' */
  mount?: string;
  /** Name of the connection. */
  connection?: string;
}

/**
 * Options of `@InjectSecret` and {@link getSecretToken}.
 *
 * @publicApi
 */
export interface InjectSecretOptions {
  /** Injects the value of this key instead of the whole object; a missing key fails the start. */
  key?: string;
  /** Pins a version (KV v2). */
  version?: number;
  /** @default 'secret' */
  mount?: string;
  /** Name of the connection. */
  connection?: string;
  /**
   * The form of the value: a Standard Schema (zod, valibot, arktype, …) or a class. The injected secret holds its output.
   * A value that does not match fails the start with `VAULT_SECRET_INVALID`.
   */
  schema?: SecretSchema;
  /**
   * Injects an `Observable` of the secret instead: the current value on subscription, then each different one. The secret
   * is read again every five minutes, or every `every` milliseconds. A new value that does not match the schema is an
   * event, and the previous one stays in use. Not with `version`. @default false
   */
  watch?: boolean | SecretWatchOptions;
}

/**
 * How a live secret is read again.
 *
 * @publicApi
 */
export interface SecretWatchOptions {
  /** Milliseconds between reads, 1000 at least. @default 300000 */
  every?: number;
}

/** The definition of a KV secret. */
export interface SecretDefinition {
  kind: 'secret';
  token: string;
  connection: string;
  path: string;
  mount?: string;
  key?: string;
  version?: number;
  schema?: SecretSchema;
  /** Set for a live secret. */
  watch?: SecretWatchOptions;
}

/** The definition behind a token. */
export type InjectionDefinition =
  | { kind: 'user'; token: string; connection: string; path: string }
  | { kind: 'credentials'; token: string; connection: string; path: string; parameters?: IssueParameters }
  | SecretDefinition;

/**
 * Definitions by token, for both copies (ESM, CommonJS) of this package: names and parameters, never values. An application makes
 * providers of them, and requests only those that something injects.
 */
const DEFINITIONS = Symbol.for('nestjs-vault.definitions');
const SCHEMAS = Symbol.for('nestjs-vault.schemas');
const DIGESTS = Symbol.for('nestjs-vault.digests');
const shared = globalThis as {
  [DEFINITIONS]?: Map<string, InjectionDefinition>;
  [SCHEMAS]?: { numbers: WeakMap<object, number>; count: number };
  [DIGESTS]?: Buffer;
};

/** The same number for the same schema. */
function numberOf(schema: SecretSchema): number {
  const known = (shared[SCHEMAS] ??= { numbers: new WeakMap(), count: 0 });
  let number = known.numbers.get(schema);
  if (number === undefined) known.numbers.set(schema, (number = ++known.count));
  return number;
}

/** The definitions so far of decorators and token functions for one connection. */
export function definitionsOf(connection: string): InjectionDefinition[] {
  return [...(shared[DEFINITIONS]?.values() ?? [])].filter(
    (definition) => definition.connection === connection,
  );
}

export function definitionOf(token: unknown): InjectionDefinition | undefined {
  return typeof token === 'string' ? shared[DEFINITIONS]?.get(token) : undefined;
}

/** Token of the object that calls methods with `@OnRotation`. */
export const ROTATIONS_TOKEN = 'VAULT:ROTATIONS';
const ROTATION_KEY = 'nestjs-vault.rotation ';

const METHODS = new Map<symbol, number>();

/** The property by which Nest gives a host with `@OnRotation` the values of a token, for one of its methods. */
export function rotationKey(method: string | symbol, token: string): symbol {
  return Symbol.for(`${ROTATION_KEY}${nameOf(method)} ${token}`);
}

/** Several symbols may have the same description. */
function nameOf(method: string | symbol): string {
  if (typeof method === 'string') return method;
  const number = METHODS.get(method) ?? METHODS.size + 1;
  METHODS.set(method, number);
  return `${String(method)} ${number}`;
}

export function isRotationKey(key: unknown): boolean {
  return typeof key === 'symbol' && key.description?.startsWith(ROTATION_KEY) === true;
}

/** Token of the internals of a connection. */
export function getConnectionToken(name = DEFAULT_CONNECTION): string {
  return `VAULT:CONNECTION(${name})`;
}

/** The names of the connections that a list of tokens provides. */
export function connectionOf(token: unknown): string | undefined {
  return typeof token === 'string' ? /^VAULT:CONNECTION\((.*)\)$/.exec(token)?.[1] : undefined;
}

/**
 * Token of the `VaultClient` of a connection.
 *
 * @publicApi
 */
export function getVaultToken(name: string = DEFAULT_CONNECTION): string {
  return `VAULT:CLIENT(${name})`;
}

/**
 * Token of the value that `@InjectCredentials` injects with the same arguments: for overrides in tests, and for
 * `inject` of factories.
 *
 * @throws VaultError `VAULT_PATH_INVALID`, `VAULT_REQUEST_INVALID` for parameters that JSON cannot represent
 * @publicApi
 */
export function getCredentialsToken(
  target: CredentialsTarget,
  options: InjectCredentialsOptions = {},
): string {
  assertOptions('@InjectCredentials', options, { connection: 'string' });
  const connection = options.connection ?? DEFAULT_CONNECTION;
  if (typeof target === 'string') {
    const path = databasePath(target, options.mount);
    const token = `VAULT:DATABASE(${part(connection)}:${encodePath(path, 'path')})`;
    return define({ kind: 'user', token, connection, path });
  }
  const { path: given, parameters } = (target ?? {}) as Exclude<CredentialsTarget, string>;
  const path = encodeApiPath(given);
  if (parameters !== undefined && !isObject(parameters))
    throw invalid(
      given,
      'The `parameters` of the credentials at',
      'are no object',
      'Give them as an object.',
    );
  return define({
    kind: 'credentials',
    token: `VAULT:CREDENTIALS(${part(connection)}:${path}${parameters ? `?${digestOf(parameters, path)}` : ''})`,
    connection,
    path: given,
    ...(parameters && { parameters }),
  });
}

/** Nest prints tokens, and an application may send anything as a parameter: the key of the hash is that of the process. */
function digestOf(parameters: IssueParameters, path: string): string {
  const key = (shared[DIGESTS] ??= randomBytes(32));
  return createHmac('sha256', key).update(parametersKey(parameters, path)).digest('base64url').slice(0, 16);
}

/**
 * Token of the value that `@InjectSecret` injects with the same arguments. Give the same `schema` object: another one is
 * another token.
 *
 * @throws VaultError `VAULT_PATH_INVALID`, and `VAULT_CONFIG_INVALID` if options contradict each other, have another type,
 * or `version` or `key` has another type elsewhere
 * @publicApi
 */
export function getSecretToken(path: string, options: InjectSecretOptions = {}): string {
  assertOptions('@InjectSecret', options, { connection: 'string', key: 'string', version: 'number' });
  const { connection = DEFAULT_CONNECTION, mount, key, version, schema } = options;
  // Each part is encoded, so that no part contains the separator before the next one.
  const where = [connection, encodeMount(mount ?? 'secret'), encodePath(path, 'path')].map(part);
  const watch = watchOf(path, options);
  if (schema !== undefined && !isSchema(schema))
    throw invalid(
      path,
      'The `schema` of the secret',
      'is no schema',
      'Give a Standard Schema (zod, valibot, arktype, …), or a class with decorators of class-validator.',
    );
  const which = [
    version !== undefined && `@${version}`,
    key !== undefined && `#${part(key)}`,
    schema !== undefined && `~schema-${numberOf(schema)}`,
    watch && `~watch${watch.every === undefined ? '' : `-${watch.every}`}`,
  ];
  return define({
    kind: 'secret',
    token: `VAULT:SECRET(${[where.join(':'), ...which].filter(Boolean).join('')})`,
    connection,
    path,
    ...(mount !== undefined && { mount }),
    ...(key !== undefined && { key }),
    ...(version !== undefined && { version }),
    ...(schema !== undefined && { schema }),
    ...(watch && { watch }),
  });
}

function watchOf(path: string, { watch, version }: InjectSecretOptions): SecretWatchOptions | undefined {
  if (watch === undefined || watch === false) return undefined;
  const problems = watch === true ? [] : unknownOptions('watch', watch, ['every']);
  const every = watch === true || watch === null ? undefined : watch.every;
  if (version !== undefined) problems.push('a pinned `version` never changes, so it cannot be watched');
  const ofInterval = intervalProblem(every);
  if (ofInterval !== undefined) problems.push(ofInterval);
  if (problems.length === 0) return every === undefined ? {} : { every };
  throw invalid(
    path,
    'The secret',
    `cannot be watched: ${problems.join('; ')}`,
    'Correct `watch`, or leave out `version`.',
  );
}

function assertOptions(subject: string, options: object, types: Parameters<typeof wrongTypes>[2]): void {
  const problems = isObject(options)
    ? wrongTypes('options', options, types)
    : ['`options` must be an object'];
  if (problems.length === 0) return;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The options of ${subject} are invalid: ${problems.join('; ')}.`,
    hint: 'Correct each of these at the decorator or the token function.',
  });
}

function invalid(path: string, subject: string, problem: string, hint: string): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `${subject} "${path}" ${problem}.`,
    hint,
    path,
  });
}

/** One part of a token, without the separators of the parts. */
function part(text: string): string {
  return String(text).replace(/[%:@#~?]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
}

function define(definition: InjectionDefinition): string {
  const { token } = definition;
  const known = definitionOf(token);
  if (known && !isDeepStrictEqual(choiceOf(known), choiceOf(definition))) {
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: `Two different secrets have the injection token ${token}.`,
      hint: 'Give `version` as a number and `key` as a string in every decorator and token function of this secret.',
      path: definition.path,
    });
  }
  // Made at the first definition, as an import alone must not change the process.
  (shared[DEFINITIONS] ??= new Map()).set(token, definition);
  return token;
}

/** The parts that distinguish definitions, without the path, which has several notations. */
function choiceOf(definition: InjectionDefinition): unknown[] {
  const { key, version } = definition as { key?: unknown; version?: unknown };
  return [definition.kind, definition.connection, key, version];
}
