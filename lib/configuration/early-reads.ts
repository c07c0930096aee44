import type { ModulesContainer } from '@nestjs/core';
import { instanceOf } from '../discovery/nest-container.js';
import { VaultError } from '../errors/vault-error.js';

/** Token under which @nestjs/config keeps the object that `ConfigService` reads. */
const CONFIGURATION_TOKEN = 'CONFIGURATION_TOKEN';
/** Where `registerAs` records its token. */
const PARTIAL_CONFIGURATION_KEY = 'PARTIAL_CONFIGURATION_KEY';

/**
 * Makes `ConfigService.get` throw for values that are still being read, where it would return undefined: Nest builds a
 * class that imports `ConfigModule` in the usual way before an asynchronous `load` has ended.
 *
 * @param load the function that `ConfigModule` was given
 * @param names the names of the values
 */
export function failEarlyReads(
  modules: ModulesContainer,
  load: object,
  names: readonly string[],
  values: Promise<object>,
): void {
  const token = Reflect.get(load, PARTIAL_CONFIGURATION_KEY) as string | symbol | undefined;
  let loaded: object | undefined;
  values.then(
    (all) => (loaded = all),
    () => undefined,
  );
  const guard = (host: object | undefined) => {
    if (!host) return;
    for (const key of token === undefined ? names : [token]) {
      // A name with a dot is a path, which ConfigModule writes into another object.
      if (key in host || /[.[]/.test(key.toString())) continue;
      Object.defineProperty(host, key, {
        configurable: true,
        enumerable: true,
        get: () => {
          if (!loaded) throw readTooEarly(key.toString());
          return token === undefined ? (Reflect.get(loaded, key) as unknown) : loaded;
        },
        set(value: unknown) {
          Object.defineProperty(host, key, { configurable: true, enumerable: true, writable: true, value });
        },
      });
    }
  };
  instanceOf<object>(modules, CONFIGURATION_TOKEN).then(guard, () => undefined);
}

function readTooEarly(key: string): VaultError {
  return new VaultError({
    code: 'VAULT_STARTUP_FAILED',
    message: `The configuration "${key}" was read before Vault has answered.`,
    hint:
      'Nest built the class that reads it too early. Set `isGlobal: true` in ConfigModule.forRoot and import ' +
      'ConfigModule nowhere else, or inject the `KEY` of registerAs, or read it in onModuleInit.',
  });
}
