import { Module, type DynamicModule } from '@nestjs/common';
import {
  ConfigurableModuleClass,
  type ASYNC_OPTIONS_TYPE,
  type OPTIONS_TYPE,
} from './vault.module-definition.js';
import { defineConnection, defineFeature, type VaultFeature } from './vault.providers.js';

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
 * The start fails with `VAULT_CONFIG_INVALID` (every problem listed), an error of the login, or where a secret
 * that a decorator asks for cannot be had; `startup.login: 'deferred'` puts the login, and leases, off to the first use.
 *
 * @publicApi
 */
@Module({})
export class VaultModule extends ConfigurableModuleClass {
  /** One connection, its options given here. */
  static override forRoot(options: VaultModuleOptions): DynamicModule {
    return defineConnection(super.forRoot(options), options);
  }

  /** One connection, its options made by a factory, as from `ConfigService`. */
  static override forRootAsync(options: VaultModuleAsyncOptions): DynamicModule {
    return defineConnection(super.forRootAsync(options), options);
  }

  /** What a feature needs, where decorators cannot tell in time: in lazily loaded modules. */
  static forFeature(feature: VaultFeature): DynamicModule {
    return defineFeature({ module: VaultModule }, feature);
  }
}
