import { unknownOptions, wrongTypes } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';
import { isObject } from '../client/answer-members.js';
import { intervalProblem } from '../engines/static-secrets.js';
import { containerOf } from '../discovery/nest-container.js';
import { isSchema, type SecretSchema } from '../schema/schema.js';
import { Application } from './application.js';
import { failEarlyReads } from './early-reads.js';
import { recordLoader, type Loader } from './loader.js';
import type { VaultConfig, VaultConfigOptions, VaultConfigValue } from './vault-config.types.js';

/**
 * Configuration from KV secrets, for `load` of `ConfigModule`: as it is, or with `registerAs`. All values are read in
 * parallel before anything else of the application is, each secret once.
 *
 * With the same `vault`, this and `VaultModule` log in once, and the token ends with the application. Without such a
 * module, it ends right after the read.
 *
 * Give the function itself to `load` or `registerAs`. If another function calls it, it does not know the application: it
 * logs in on its own, and `VaultTestingModule` does not serve it.
 *
 * @example
 * export const vault = () => ({ ...vaultOptionsFromEnv(), auth: vaultAgent() });
 * export const payments = registerAs('payments', vaultConfig({
 *   vault,
 *   values: { apiKey: { path: 'payments', key: 'apiKey' }, url: { path: 'payments', key: 'url', plain: true } },
 * }));
 * // ConfigModule.forRoot({ isGlobal: true, load: [payments] }), VaultModule.forRootAsync({ useFactory: vault })
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` (every problem listed). The start fails with the error of the login,
 * with the error of the only value that could not be read, with `VAULT_STARTUP_FAILED` naming each of several, or with
 * `VAULT_SECRET_INVALID`, if the schema refuses them.
 * @publicApi
 */
export function vaultConfig<
  const V extends Readonly<Record<string, VaultConfigValue>>,
  S extends SecretSchema | undefined = undefined,
>(options: VaultConfigOptions<V, S>): () => Promise<VaultConfig<V, S>> {
  const loader = checked(options);
  // A method, because Nest calls the factory as one of the provider's wrapper.
  const load = function (this: unknown): Promise<object> {
    const modules = containerOf(this);
    const values = Application.of(modules).load(loader);
    if (modules) failEarlyReads(modules, load, [...loader.values.keys()], values);
    return values;
  };
  recordLoader(load, loader);
  return load as () => Promise<VaultConfig<V, S>>;
}

function checked(options: VaultConfigOptions): Loader {
  const given: Partial<VaultConfigOptions> = isObject(options) ? options : {};
  const { vault, values, schema, every } = given;
  const problems = unknownOptions('vaultConfig', given, ['vault', 'values', 'schema', 'every']);
  if (!('vault' in given))
    problems.push(
      '`vault` is missing: give the options object of VaultModule, or undefined to use the defaults only',
    );
  else if (vault !== undefined && !isObject(vault) && typeof vault !== 'function')
    problems.push('`vault` must be the options object of VaultModule, or a function that returns it');
  if (!isObject(values)) problems.push('`values` must be an object of names and values');
  const entries = Object.entries(isObject(values) ? values : {}) as [string, VaultConfigValue][];
  for (const [name, value] of entries) problems.push(...problemsOf(name, value));
  if (schema !== undefined && !isSchema(schema))
    problems.push('`schema` must be a Standard Schema, or a class');
  const ofInterval = intervalProblem(every);
  if (ofInterval !== undefined) problems.push(ofInterval);
  if (problems.length === 0) return { vault, values: new Map(entries), schema, every };
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The call of vaultConfig is invalid: ${problems.join('; ')}.`,
    hint: 'Correct each of these; docs/configuration.md describes the call.',
  });
}

const TYPES = {
  key: 'string',
  version: 'number',
  mount: 'string',
  plain: 'boolean',
  watch: 'boolean',
} as const;
const MEMBERS = ['path', 'default', ...Object.keys(TYPES)];

function problemsOf(name: string, value: unknown): string[] {
  if (!isObject(value)) return [`\`${name}\` must be an object with \`path\``];
  const { path, version, watch } = value as Partial<Record<keyof VaultConfigValue, unknown>>;
  return [
    ...unknownOptions(name, value, MEMBERS),
    ...(typeof path === 'string' ? [] : [`\`${name}.path\` must be a string`]),
    ...wrongTypes(name, value, TYPES),
    ...(watch === true && version !== undefined
      ? [`\`${name}\` cannot be watched, as its version is pinned`]
      : []),
  ];
}
