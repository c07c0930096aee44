import { BehaviorSubject } from 'rxjs';
import { isObject } from '../client/answer-members.js';
import type { VaultConnection } from '../connection/vault-connection.js';
import { memberOf } from '../connection/injected-secrets.js';
import { failuresOf, isAbsent, oneError } from '../discovery/resolve-injection.js';
import type { StaticSecret } from '../engines/static-secrets.js';
import { kindOf } from '../errors/kind-of.js';
import { classOf, listed } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { applySchema } from '../schema/apply-schema.js';
import { Secret } from '../secret/secret.js';
import { followSecrets, valueOf$ } from './follow-configuration.js';
import { isWatched, type Loader } from './loader.js';
import type { VaultConfigValue } from './vault-config.types.js';

/** The connection of some loaders. */
export interface Source {
  readonly connection: VaultConnection;
  /** Milliseconds for which transient failures are retried. */
  readonly budget: number;
  /** Whether the connection lives as long as the application. */
  readonly lasting: boolean;
}

/**
 * Reads the values of all loaders in parallel.
 *
 * @param source undefined: each value is its default
 * @param warn receives a line for the operator
 * @throws VaultError the only failure, or `VAULT_STARTUP_FAILED` naming each
 */
export async function readConfiguration(
  loaders: readonly Loader[],
  source: Source | undefined,
  warn: (line: string) => void,
): Promise<Map<Loader, object>> {
  const results = await Promise.allSettled(loaders.map((loader) => load(loader, source, warn)));
  const error = oneError(
    failuresOf(results),
    (count) => `${count} values of the configuration could not be read.`,
  );
  if (error) throw error;
  return new Map(
    results.map((result, index) => [
      loaders[index] as Loader,
      (result as PromiseFulfilledResult<object>).value,
    ]),
  );
}

async function load(
  loader: Loader,
  source: Source | undefined,
  warn: (line: string) => void,
): Promise<object> {
  const { values } = loader;
  const watched = [...values].filter(([, value]) => isWatched(value)).map(([name]) => name);
  if (source && !source.lasting && watched.length > 0) throw notLasting(watched);
  const absent: string[] = [];
  const secrets = new Map<string, StaticSecret>();
  const results = await Promise.allSettled(
    [...values].map(async ([name, value]): Promise<[string, unknown]> => {
      try {
        if (!source) throw withoutServer(name);
        const secret = await source.connection.injected.readOnce(value, source.budget);
        secrets.set(name, secret);
        return [name, memberOf(secret.data, value).reveal()];
      } catch (error) {
        if (!('default' in value) || (source && !isAbsent(error))) throw error;
        absent.push(name);
        return [name, defaultOf(name, value)];
      }
    }),
  );
  const error = oneError(
    failuresOf(results),
    (count) => `${count} values of the configuration could not be read.`,
  );
  if (error) throw error;
  if (absent.length > 0) {
    const reason = source ? 'the server has none' : '`vault` is undefined';
    warn(`The configuration takes the default of ${listed(absent, '`')}: ${reason}.`);
  }
  const plain = Object.fromEntries(
    results.map((result) => (result as PromiseFulfilledResult<[string, unknown]>).value),
  );
  const config = await check(loader, plain);
  if (watched.length === 0) return config;
  const current = new BehaviorSubject(config);
  if (source)
    followSecrets(loader, source.connection, { plain, secrets, current, check: (one) => check(loader, one) });
  return { ...config, ...Object.fromEntries(watched.map((name) => [name, valueOf$(current, name)])) };
}

function defaultOf(name: string, { default: given }: VaultConfigValue): unknown {
  try {
    return typeof given === 'function' ? (given as () => unknown)() : given;
  } catch (error) {
    throw new VaultError({
      code: 'VAULT_EXTENSION_INVALID',
      message: `The default of "${name}" in the configuration threw ${classOf(error)}.`,
      hint: 'Correct the function: it returns the value, or undefined.',
    });
  }
}

/**
 * The configuration of these values.
 *
 * @throws VaultError `VAULT_SECRET_INVALID`, `VAULT_EXTENSION_INVALID`
 */
async function check(
  { values, schema }: Loader,
  plain: Readonly<Record<string, unknown>>,
): Promise<Record<string, unknown>> {
  const output: unknown = schema ? await applySchema(schema, plain, 'configuration') : texts(values, plain);
  if (!isObject(output)) {
    throw new VaultError({
      code: 'VAULT_EXTENSION_INVALID',
      message: `The schema of the configuration returned ${kindOf(output)}.`,
      hint: 'Let its output be an object of names and values.',
    });
  }
  return Object.fromEntries(
    Object.entries(output).map(([name, value]) => [
      name,
      value === undefined || values.get(name)?.plain === true ? value : new Secret(value),
    ]),
  );
}

/** The values, if that of each key is a text. */
function texts(values: Loader['values'], plain: Readonly<Record<string, unknown>>): object {
  const wrong = Object.entries(plain).find(
    ([name, value]) =>
      values.get(name)?.key !== undefined && value !== undefined && typeof value !== 'string',
  );
  if (!wrong) return plain;
  const [name, value] = wrong;
  throw new VaultError({
    code: 'VAULT_SECRET_INVALID',
    message: `The value "${name}" of the configuration is ${kindOf(value)}, not a text.`,
    hint: 'Store a text, or give vaultConfig a `schema`, which decides about other types.',
    path: values.get(name)?.path ?? '',
  });
}

function withoutServer(name: string): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The value "${name}" of the configuration has no default, and \`vault\` is undefined.`,
    hint: 'Give the value a `default`, or vaultConfig the options of a server.',
  });
}

function notLasting(names: readonly string[]): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `No VaultModule of the application has the options of the configuration, which watches ${listed(names, '`')}.`,
    hint:
      'Give VaultModule.forRoot the same object as `vault` of vaultConfig, not a copy of it. Its connection then lives ' +
      'as long as the application.',
  });
}
