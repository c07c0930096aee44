import { BehaviorSubject } from 'rxjs';
import { isObject } from '../client/answer-members.js';
import type { VaultConnection } from '../connection/vault-connection.js';
import { memberOf } from '../connection/injected-secrets.js';
import { failuresOf, isAbsent, oneError } from '../discovery/resolve-injection.js';
import type { StaticSecret } from '../engines/static-secrets.js';
import { kindOf } from '../errors/kind-of.js';
import { listed } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import { applySchema } from '../schema/apply-schema.js';
import { Secret } from '../secret/secret.js';
import { withoutServer } from './configuration-errors.js';
import { followSecrets, valueOf$ } from './follow-configuration.js';
import { defaultOf, watchedOf, type Loader } from './loader.js';

/** The connection of some loaders. */
export interface Source {
  readonly connection: VaultConnection;
  /** Milliseconds for which transient failures are retried. */
  readonly budget: number;
}

type Config = Readonly<Record<string, unknown>>;

/** What one loader has read. */
interface Read {
  readonly config: object;
  /** Begins to follow the watched values. */
  readonly follow?: () => void;
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
  const all = valuesOf(results);
  // Only now: a batch that fails is read again.
  for (const { follow } of all) follow?.();
  return new Map(all.map(({ config }, index) => [loaders[index] as Loader, config]));
}

/** @throws VaultError the only failure, or one that names each */
function valuesOf<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  const message = (count: number) => `${count} values of the configuration could not be read.`;
  const error = oneError(failuresOf(results), message);
  if (error) throw error;
  return results.map((result) => (result as PromiseFulfilledResult<T>).value);
}

async function load(loader: Loader, source: Source | undefined, warn: (line: string) => void): Promise<Read> {
  const { values } = loader;
  const watched = watchedOf(loader);
  const absent: string[] = [];
  const secrets = new Map<string, StaticSecret>();
  const results = await Promise.allSettled(
    [...values].map(async ([name, value]): Promise<[string, unknown]> => {
      try {
        if (!source) throw withoutServer(name);
        const secret = await source.connection.injected.readFresh(value, source.budget);
        secrets.set(name, secret);
        return [name, memberOf(secret.data, value).reveal()];
      } catch (error) {
        if (!('default' in value) || (source && !isAbsent(error))) throw error;
        absent.push(name);
        return [name, defaultOf(name, value)];
      }
    }),
  );
  const plain = Object.fromEntries(valuesOf(results));
  if (absent.length > 0) {
    const reason = source ? 'the server has none' : '`vault` is undefined';
    warn(`The configuration takes the default of ${listed(absent, '`')}: ${reason}.`);
  }
  const config = await check(loader, plain);
  if (watched.length === 0) return { config };
  const current = new BehaviorSubject(config);
  const loaded = { plain, secrets, current, check: (one: Config) => check(loader, one) };
  return {
    config: { ...config, ...Object.fromEntries(watched.map((name) => [name, valueOf$(current, name)])) },
    ...(source && { follow: () => followSecrets(loader, source.connection, loaded) }),
  };
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
