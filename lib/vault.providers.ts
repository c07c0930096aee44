import { Global, Module, type DynamicModule, type FactoryProvider, type Provider } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { defer } from 'rxjs';
import { assertName, DEFAULT_CONNECTION } from './config/resolved-options.js';
import type { VaultOptions } from './config/options.js';
import { hideSecretOptions } from './config/hidden-options.js';
import { Application } from './configuration/application.js';
import { recordDeclaration, type Declaration } from './configuration/declarations.js';
import type { SharedConnection } from './configuration/shared-connection.js';
import { openConnection } from './connection/open-connection.js';
import type { VaultConnection } from './connection/vault-connection.js';
import { VaultConnections } from './connection/vault-connections.js';
import { lateList, resolveAgain } from './discovery/nest-container.js';
import { prefetch, resolveInjection } from './discovery/resolve-injection.js';
import { UndeclaredSecret } from './discovery/undeclared-secret.js';
import { isInjected, wantedSecrets, willRead } from './discovery/wanted-secrets.js';
import { SERVICES } from './services/services.js';
import { VaultClient } from './session/vault-client.js';
import { MODULE_OPTIONS_TOKEN, type VaultModuleExtras } from './vault.module-definition.js';
import { VaultShutdown } from './vault.shutdown.js';
import {
  definitionOf,
  definitionsOf,
  getConnectionToken,
  getCredentialsToken,
  getSecretToken,
  getVaultToken,
  type CredentialsTarget,
  type InjectCredentialsOptions,
  type InjectionDefinition,
  type InjectSecretOptions,
} from './vault.tokens.js';

/**
 * The secrets of a feature.
 *
 * @publicApi
 */
export interface VaultFeature {
  /** Arguments of `@InjectCredentials`. */
  credentials?: readonly (CredentialsTarget | readonly [CredentialsTarget, InjectCredentialsOptions])[];
  /** Arguments of `@InjectSecret`. */
  secrets?: readonly (string | readonly [string, InjectSecretOptions])[];
  /** Name of the connection of all of them. */
  connection?: string;
}

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
  ],
  exports: [VaultConnections, ...SERVICES],
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
  const declaration = {
    name: name ?? DEFAULT_CONNECTION,
    given,
    known: typeof given === 'object',
    optionsToken: MODULE_OPTIONS_TOKEN,
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
    providers: lateList([...(base.providers ?? []).map(hidden), ...extraProviders, ...own], () =>
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

/** The module of a feature's secrets. */
export function defineFeature(base: DynamicModule, feature: VaultFeature): DynamicModule {
  const { connection } = feature;
  const shared = connection === undefined ? {} : { connection };
  const tokens = [
    ...(feature.credentials ?? []).map((entry) => {
      const [target, options] = isPair<CredentialsTarget, InjectCredentialsOptions>(entry)
        ? entry
        : [entry, {}];
      return getCredentialsToken(target, { ...options, ...shared });
    }),
    ...(feature.secrets ?? []).map((entry) => {
      const [path, options] = isPair<string, InjectSecretOptions>(entry) ? entry : [entry, {}];
      return getSecretToken(path, { ...options, ...shared });
    }),
  ];
  const definitions = tokens.map((token) => definitionOf(token) as InjectionDefinition);
  const names = [...new Set(definitions.map((definition) => definition.connection))];
  const providers = [
    ...definitions.map((definition) => injectionProvider(definition, featureToken(definition.connection))),
    ...names.map((name) =>
      featureProvider(
        name,
        definitions.filter((definition) => definition.connection === name).map(({ token }) => token),
      ),
    ),
  ];
  return { ...base, providers, exports: tokens };
}

/**
 * Reads the secrets of a feature when its module is loaded lazily. In a module that is loaded at the start, the
 * connection has read them already, because of the note on the factory.
 */
function featureProvider(name: string, tokens: readonly string[]): FactoryProvider {
  const useFactory = async (connection: VaultConnection, modules: ModulesContainer) => {
    if (connection.startup.login === 'deferred') return;
    const wanted = wantedSecrets(modules, name, isOwnProvider);
    const needed = wanted.filter(({ token }) => tokens.includes(token));
    await prefetch(connection, needed, connection.startup.timeout);
  };
  willRead(useFactory, tokens);
  return {
    provide: featureToken(name),
    inject: [getConnectionToken(name), ModulesContainer],
    useFactory,
  };
}

const featureToken = (connection: string) => `VAULT:FEATURE(${connection})`;

function isPair<A, B>(entry: A | readonly [A, B]): entry is readonly [A, B] {
  return Array.isArray(entry);
}

const OWN_FACTORIES = new WeakSet<object>();
const isOwnProvider = (provider: unknown) => OWN_FACTORIES.has(provider as object);

/**
 * Observables send no request before a subscription. A token that nothing injects may belong to another application of
 * this process, so its path is not even checked. A secret is read if a class of the application injects it; otherwise
 * Nest calls the factory again at the first injection.
 *
 * @param after tokens of providers to build first
 */
function injectionProvider(definition: InjectionDefinition, ...after: string[]): FactoryProvider {
  let resolvedBefore = false;
  const useFactory = (connection: VaultConnection, modules: ModulesContainer) => {
    const { token } = definition;
    const declared = connection.startup.login === 'required';
    const resolve = () => resolveInjection(connection, definition);
    if (resolvedBefore || isInjected(modules, token, declared)) return resolve();
    if (definition.kind !== 'secret') return defer(resolve);
    resolvedBefore = true;
    resolveAgain(modules, token, useFactory);
    return new UndeclaredSecret(definition);
  };
  OWN_FACTORIES.add(useFactory);
  return {
    provide: definition.token,
    inject: [getConnectionToken(definition.connection), ModulesContainer, ...after],
    useFactory,
  };
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
