import { isDeepStrictEqual } from 'node:util';
import { encodeApiPath, encodeMount, encodePath } from './client/path.js';
import { DEFAULT_CONNECTION } from './config/resolved-options.js';
import { databasePath } from './engines/database/database-path.js';
import { VaultError } from './errors/vault-error.js';

/**
 * The target of `@InjectCredentials`: the name of a database role, or the full path of any lease-backed secret.
 *
 * @publicApi
 */
export type CredentialsTarget = string | { path: string };

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
}

/** The definition behind a token. */
export type InjectionDefinition = { token: string; connection: string } & (
  | { kind: 'user'; path: string }
  | { kind: 'credentials'; path: string }
  | { kind: 'secret'; path: string; mount?: string; key?: string; version?: number }
);

/**
 * Definitions by token, for both copies (ESM, CommonJS) of this package: names only, never values. An application makes
 * providers of them, and requests only those that something injects.
 */
const DEFINITIONS = Symbol.for('nestjs-vault.definitions');
const shared = globalThis as { [DEFINITIONS]?: Map<string, InjectionDefinition> };

/** The definitions so far of decorators and token functions for one connection. */
export function definitionsOf(connection: string): InjectionDefinition[] {
  return [...(shared[DEFINITIONS]?.values() ?? [])].filter(
    (definition) => definition.connection === connection,
  );
}

export function definitionOf(token: unknown): InjectionDefinition | undefined {
  return typeof token === 'string' ? shared[DEFINITIONS]?.get(token) : undefined;
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
 * @throws VaultError `VAULT_PATH_INVALID`
 * @publicApi
 */
export function getCredentialsToken(
  target: CredentialsTarget,
  options: InjectCredentialsOptions = {},
): string {
  const connection = options.connection ?? DEFAULT_CONNECTION;
  if (typeof target === 'string') {
    const path = databasePath(target, options.mount);
    const token = `VAULT:DATABASE(${part(connection)}:${encodePath(path, 'path')})`;
    return define({ kind: 'user', token, connection, path });
  }
  const { path: given } = (target ?? {}) as { path: string };
  const path = encodeApiPath(given);
  return define({
    kind: 'credentials',
    token: `VAULT:CREDENTIALS(${part(connection)}:${path})`,
    connection,
    path: given,
  });
}

/**
 * Token of the value that `@InjectSecret` injects with the same arguments.
 *
 * @throws VaultError `VAULT_PATH_INVALID`, and `VAULT_CONFIG_INVALID` if `version` or `key` has another type elsewhere
 * @publicApi
 */
export function getSecretToken(path: string, options: InjectSecretOptions = {}): string {
  const { connection = DEFAULT_CONNECTION, mount, key, version } = options;
  // Each part is encoded, so that no part contains the ":", "@" or "#" before the next one.
  const where = [connection, encodeMount(mount ?? 'secret'), encodePath(path, 'path')].map(part);
  const which = [version !== undefined && `@${version}`, key !== undefined && `#${part(key)}`];
  return define({
    kind: 'secret',
    token: `VAULT:SECRET(${[where.join(':'), ...which].filter(Boolean).join('')})`,
    connection,
    path,
    ...(mount !== undefined && { mount }),
    ...(key !== undefined && { key }),
    ...(version !== undefined && { version }),
  });
}

/** One part of a token, without the separators of the parts. */
function part(text: string): string {
  return String(text).replace(/[%:@#]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
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
