import type { Observable } from 'rxjs';
import type { VaultOptions } from '../config/options.js';
import type { SchemaOutput, SecretSchema } from '../schema/schema.js';
import type { Secret } from '../secret/secret.js';

/**
 * One value of {@link vaultConfig}: the value of a key of a KV secret, or the whole secret.
 *
 * @publicApi
 */
export interface VaultConfigValue {
  /** Relative to the mount: `app/payments`, not `secret/data/app/payments`. */
  path: string;
  /** @default the whole secret, as an object */
  key?: string;
  /** Pins a version (KV v2). @default the latest version at the start */
  version?: number;
  /** @default 'secret' */
  mount?: string;
  /**
   * `true`: the value as it is, which logs and dumps of the configuration then show.
   * @default false: a `Secret`, which nothing prints
   */
  plain?: boolean;
  /**
   * `true`: an observable of the value, which emits the current one on subscription, and each later one that differs.
   * It needs a `VaultModule` with the same options object, and a value without `version`.
   * @default false: the value at the start
   */
  watch?: boolean;
  /**
   * The value if the server has none (no such secret, version or key), or if `vault` is undefined; a function is called
   * at the start, when `ConfigModule` has read the environment and its files. A secret that the server denies, and a
   * server that does not answer, are errors all the same. `undefined` makes the value optional.
   */
  default?: unknown;
}

/**
 * Options of {@link vaultConfig}.
 *
 * @publicApi
 */
export interface VaultConfigOptions<
  V extends Readonly<Record<string, VaultConfigValue>> = Readonly<Record<string, VaultConfigValue>>,
  S extends SecretSchema | undefined = SecretSchema | undefined,
> {
  /**
   * The options of the connection: the object that `VaultModule.forRoot` gets, or the function that
   * `VaultModule.forRootAsync` gets as `useFactory`. The same one, not a copy, means one login of both. The function is
   * called at the start, when `ConfigModule` has read the environment and its files. `undefined`, also as the result of
   * the function, asks no server: each value is its default.
   */
  vault: VaultOptions | (() => VaultOptions | undefined | Promise<VaultOptions | undefined>) | undefined;
  /** The values by their names in the configuration. */
  values: V;
  /**
   * Checks and converts the values: an object by their names, with `Secret`s revealed. Its output is the configuration;
   * values that are not `plain` are wrapped again, and so are names that only the schema adds.
   *
   * Without it, the value of a `key` must be a text.
   */
  schema?: S;
  /** Milliseconds between the reads of a watched secret, 1000 at least. @default 300000 */
  every?: number;
}

/** Whether a value may be undefined. */
type OfDefault<D> = D extends () => infer R
  ? undefined extends R
    ? undefined
    : never
  : undefined extends D
    ? undefined
    : never;
type Absent<V> = V extends { default: infer D } ? OfDefault<D> : never;
type Wrapped<T, V> = V extends { plain: true } ? T : Secret<Exclude<T, undefined>> | Extract<T, undefined>;
type Followed<T, V> = V extends { watch: true } ? Observable<T> : T;
type Stored<V> = V extends { key: string } ? string : Record<string, unknown>;
type Checked<V, S> = [S] extends [SecretSchema]
  ? SchemaOutput<S>
  : { [N in keyof V]: Stored<V[N]> | Absent<V[N]> };

/**
 * The configuration that {@link vaultConfig} loads.
 *
 * @publicApi
 */
export type VaultConfig<V, S = undefined> = {
  [N in keyof Checked<V, S>]: N extends keyof V
    ? Followed<Wrapped<Checked<V, S>[N], V[N]>, V[N]>
    : Wrapped<Checked<V, S>[N], unknown>;
};
