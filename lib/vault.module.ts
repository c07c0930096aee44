import { Module, type DynamicModule } from '@nestjs/common';
import { unknownOptions } from './errors/unknown-options.js';
import { VaultError } from './errors/vault-error.js';
import {
  ConfigurableModuleClass,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from './vault.module-definition.js';
import { defineFeature, type VaultFeature } from './vault.injections.js';
import { defineConnection } from './vault.providers.js';

/**
 * Options of {@link VaultModule.forRoot}: those of the connection, `name`, `isGlobal` and `extraProviders`.
 *
 * @publicApi
 */
export type VaultModuleOptions = typeof OPTIONS_TYPE;

/**
 * Options of {@link VaultModule.forRootAsync}: `useFactory`, `useClass` or `useExisting` with `inject` and
 * `imports`, and `name`, `isGlobal` and `extraProviders`.
 *
 * @publicApi
 */
export type VaultModuleAsyncOptions = typeof ASYNC_OPTIONS_TYPE;

/**
 * Connects an application to Vault or OpenBao. Import it once for each connection, in the root module.
 *
 * The start fails with `VAULT_CONFIG_INVALID` (every problem listed), with the error of the login, or if a secret that
 * a decorator injects cannot be read; `startup.login: 'deferred'` delays the login and the leases until the first use.
 *
 * @publicApi
 */
@Module({})
export class VaultModule extends ConfigurableModuleClass {
  /** Declares a connection with these options. */
  static override forRoot(options: VaultModuleOptions): DynamicModule {
    assertGiven(options, 'forRoot', 'its options are missing');
    return defineConnection(super.forRoot(options), options, options);
  }

  /** Declares a connection whose options a factory makes, for example from `ConfigService`. */
  static override forRootAsync(options: VaultModuleAsyncOptions): DynamicModule {
    assertGiven(options, 'forRootAsync', 'its options are missing');
    const { useFactory, useClass, useExisting } = options;
    if (!(useFactory ?? useClass ?? useExisting))
      throw misused('forRootAsync', 'it needs `useFactory`, `useClass` or `useExisting`');
    return defineConnection(super.forRootAsync(options), options, useFactory);
  }

  /**
   * Declares the secrets of a feature, with the arguments of `@InjectCredentials` and `@InjectSecret`, if decorators cannot
   * do so in time: in lazily loaded modules. An error of one names the module that declares it.
   */
  static forFeature(feature: VaultFeature): DynamicModule {
    assertGiven(feature, 'forFeature', 'it needs an object with `credentials` or `secrets`');
    const [problem] = unknownOptions('forFeature', feature, ['credentials', 'secrets', 'connection']);
    if (problem !== undefined) throw misused('forFeature', problem);
    return defineFeature({ module: VaultModule }, feature);
  }
}

function assertGiven(value: unknown, method: string, problem: string): void {
  if (typeof value !== 'object' || value === null) throw misused(method, problem);
}

function misused(method: string, problem: string): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The call of VaultModule.${method} is invalid: ${problem}.`,
    hint: 'Correct the call; docs/options.md lists its parameters.',
  });
}
