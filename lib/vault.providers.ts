import { Global, Module, type DynamicModule, type FactoryProvider, type Provider } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { assertName, DEFAULT_CONNECTION } from './config/resolved-options.js';
import type { VaultOptions } from './config/options.js';
import { hideSecretOptions } from './config/hidden-options.js';
import { Application } from './configuration/application.js';
import { recordDeclaration, type Declaration } from './configuration/declarations.js';
import type { SharedConnection } from './configuration/shared-connection.js';
import { openConnection } from './connection/open-connection.js';
import type { VaultConnection } from './connection/vault-connection.js';
import { VaultConnections } from './connection/vault-connections.js';
import { lateList } from './discovery/nest-container.js';
import { prefetch } from './discovery/resolve-injection.js';
import { wantedSecrets } from './discovery/wanted-secrets.js';
import { SERVICES } from './services/services.js';
import { VaultClient } from './session/vault-client.js';
import { MODULE_OPTIONS_TOKEN, type VaultModuleExtras } from './vault.module-definition.js';
import { VaultRotations } from './vault.rotations.js';
import { VaultShutdown } from './vault.shutdown.js';
import { injectionProvider, isOwnProvider } from './vault.injections.js';
import { definitionsOf, getConnectionToken, getVaultToken, ROTATIONS_TOKEN } from './vault.tokens.js';

/** Providers that exist once in an application, for any number of connections. */
@Global()
@Module({
  providers: [
    {
      provide: VaultConnections,
      inject: [ModulesContainer],
      useFactory: (modules: ModulesContainer) => Application.of(modules).connections,
    },
    ...SERVICES.map((Service) => ({
      provide: Service,
      inject: [VaultConnections],
      useFactory: (connections: VaultConnections) => new Service(connections),
    })),
    VaultShutdown,
    { provide: ROTATIONS_TOKEN, useClass: VaultRotations },
  ],
  exports: [VaultConnections, ...SERVICES, ROTATIONS_TOKEN],
})
class VaultCoreModule {}

/**
 * The module of one connection.
 *
 * @param given the options object of `forRoot`, or the function `useFactory` of `forRootAsync`
 */
export function defineConnection(
  base: DynamicModule,
  extras: VaultModuleExtras,
  given: object | undefined,
): DynamicModule {
  const { name, isGlobal = true, extraProviders = [] } = extras;
  if (name !== undefined) assertName(name);
  const connectionToken = getConnectionToken(name);
  const clientToken = getVaultToken(name);
  const providers = (base.providers ?? []).map(hidden);
  const options = providers.find((one) => 'provide' in one && one.provide === MODULE_OPTIONS_TOKEN);
  const declaration = {
    name: name ?? DEFAULT_CONNECTION,
    given,
    known: typeof given === 'object',
    optionsToken: MODULE_OPTIONS_TOKEN,
    optionsFactory: options && 'useFactory' in options ? options.useFactory : undefined,
  };
  const injections = () => definitionsOf(declaration.name);
  const connectOnce = (options: VaultOptions, connections: VaultConnections, modules: ModulesContainer) =>
    connections.once(declaration.name, declaration, () => connect(options, declaration, modules));
  recordDeclaration(connectOnce, declaration);
  const own: Provider[] = [
    {
      provide: connectionToken,
      inject: [MODULE_OPTIONS_TOKEN, VaultConnections, ModulesContainer],
      useFactory: connectOnce,
    },
    {
      provide: clientToken,
      inject: [connectionToken],
      useFactory: (connection: VaultConnection) => connection.client,
    },
    // The class itself stands for the connection without a name only.
    ...(name === undefined ? [{ provide: VaultClient, useExisting: clientToken }] : []),
  ];
  const exported = [connectionToken, clientToken, ...(name === undefined ? [VaultClient] : [])];
  return {
    ...base,
    global: isGlobal,
    imports: [...(base.imports ?? []), VaultCoreModule],
    // When Nest iterates these lists, every file with a decorator has run.
    providers: lateList([...providers, ...extraProviders, ...own], () =>
      injections().map((definition) => injectionProvider(definition)),
    ),
    exports: lateList<NonNullable<DynamicModule['exports']>[number]>(exported, () =>
      injections().map(({ token }) => token),
    ),
  };
}

/** The same provider; Nest and loggers print the options that it provides, but no secret of them. */
function hidden(provider: Provider): Provider {
  if (typeof provider === 'function' || provider.provide !== MODULE_OPTIONS_TOKEN) return provider;
  if ('useValue' in provider)
    return { ...provider, useValue: hideSecretOptions(provider.useValue as VaultOptions) };
  if (!('useFactory' in provider)) return provider;
  const { useFactory } = provider as FactoryProvider<VaultOptions>;
  return { ...provider, useFactory: async (...args) => hideSecretOptions(await useFactory(...args)) };
}

function connect(
  options: VaultOptions,
  declaration: Declaration,
  modules: ModulesContainer,
): Promise<VaultConnection> {
  const application = Application.of(modules);
  let shared: SharedConnection;
  return openConnection(
    application.connections,
    declaration.name,
    () => (shared = application.open(declaration, options)).connection,
    () => shared.startUp(() => start(shared, application, modules)),
  );
}

/** Logs in, reads the configuration, then the secrets that the application injects. */
async function start(
  shared: SharedConnection,
  application: Application,
  modules: ModulesContainer,
): Promise<void> {
  const { connection } = shared;
  const left = await shared.ready();
  await application.loadAll(shared);
  await prefetch(connection, wantedSecrets(modules, connection.name, isOwnProvider), left());
}
