import { classOf } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import type { SecretSchema } from '../schema/schema.js';
import type { VaultConfigOptions, VaultConfigValue } from './vault-config.types.js';

/** One call of `vaultConfig`: which values it reads, and how. */
export interface Loader {
  /** Undefined: no server is asked. */
  readonly vault: VaultConfigOptions['vault'];
  readonly values: ReadonlyMap<string, VaultConfigValue>;
  readonly schema: SecretSchema | undefined;
  /** Milliseconds between the reads of watched values. */
  readonly every: number | undefined;
}

/** By the function that `ConfigModule` makes a provider of. */
const LOADERS = new WeakMap<object, Loader>();

export function recordLoader(load: object, loader: Loader): void {
  LOADERS.set(load, loader);
}

/** The loader behind the factory of a provider. */
export function loaderOf(factory: unknown): Loader | undefined {
  return LOADERS.get(factory as object);
}

/** The names of the values that are watched. */
export function watchedOf({ values }: Loader): string[] {
  return [...values].filter(([, value]) => isWatched(value)).map(([name]) => name);
}

export function isWatched(value: VaultConfigValue): boolean {
  return value.watch === true;
}

/** The value where the server has none. */
export function defaultOf(name: string, { default: given }: VaultConfigValue): unknown {
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
