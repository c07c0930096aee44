import { ConfigurableModuleBuilder, type Provider } from '@nestjs/common';
import type { VaultOptions } from './config/options.js';

/**
 * Parameters of `forRoot` and `forRootAsync` besides the options of the connection.
 *
 * @publicApi
 */
export interface VaultModuleExtras {
  /** Name of the connection; absent for the one without a name. */
  name?: string;
  /** Makes the module's exports available everywhere. @default true */
  isGlobal?: boolean;
  /** Providers for the factory of the options. */
  extraProviders?: Provider[];
}

/** The complete list of extras, because the builder removes only these from the options. */
const EXTRAS: VaultModuleExtras = { name: undefined as never, isGlobal: true, extraProviders: [] };

const built = new ConfigurableModuleBuilder<VaultOptions>({ moduleName: 'Vault' })
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createVaultOptions')
  .setExtras(EXTRAS, (definition) => definition)
  .build();

export const { ConfigurableModuleClass, ASYNC_OPTIONS_TYPE, OPTIONS_TYPE } = built;
/**
 * Injection token of the options of a connection. A test overrides it to give other options than the application's.
 *
 * @publicApi
 */
export const MODULE_OPTIONS_TOKEN = built.MODULE_OPTIONS_TOKEN;
