import {
  Global,
  Logger,
  Module,
  type DynamicModule,
  type FactoryProvider,
  type Provider,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { defer } from 'rxjs';
import { assertName, DEFAULT_CONNECTION, resolveOptions } from './config/resolved-options.js';
import type { VaultOptions } from './config/options.js';
import { hideSecretOptions } from './config/hidden-options.js';
import { openConnection } from './connection/open-connection.js';
import { VaultConnection } from './connection/vault-connection.js';
import { VaultConnections } from './connection/vault-connections.js';
import { lateList, resolveAgain, type Wrapper } from './discovery/nest-container.js';
import { prefetch, resolveInjection } from './discovery/resolve-injection.js';
import { UndeclaredSecret } from './discovery/undeclared-secret.js';
import { isInjected, wantedSecrets, willRead } from './discovery/wanted-secrets.js';
import { logEvents } from './events/log-events.js';
import { SERVICES } from './services/services.js';
import { VaultClient } from './session/vault-client.js';
import { ENVIRONMENT_TOKEN, type Environment } from './vault.environment.js';
import { MODULE_OPTIONS_TOKEN, type VaultModuleExtras } from './vault.module-definition.js';
import { VaultShutdown } from './vault.shutdown.js';
import { logSlowStart } from './connection/slow-start.js';
import {
  connectionOf,
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
    { provide: VaultConnections, inject: [ModulesContainer], useFactory: declareConnections },
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

/** The module of one connection. */
export function defineConnection(base: DynamicModule, extras: VaultModuleExtras): DynamicModule {
  const { name, isGlobal = true, extraProviders = [] } = extras;
  if (name !== undefined) assertName(name);
  const connectionToken = getConnectionToken(name);
  const clientToken = getVaultToken(name);
  const declaration = {};
  const injections = () => definitionsOf(name ?? DEFAULT_CONNECTION);
  const own: Provider[] = [
    {
      provide: connectionToken,
      inject: [
        MODULE_OPTIONS_TOKEN,
        VaultConnections,
        ModulesContainer,
        { token: ENVIRONMENT_TOKEN, optional: true },
      ],
      useFactory: (
        options: VaultOptions,
        connections: VaultConnections,
        modules: ModulesContainer,
        environment?: Environment,
      ) =>
        connections.once(name ?? DEFAULT_CONNECTION, declaration, () =>
          connect(options, name ?? DEFAULT_CONNECTION, connections, modules, environment),
        ),
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
  name: string,
  connections: VaultConnections,
  modules: ModulesContainer,
  { clock, transport }: Environment = {},
): Promise<VaultConnection> {
  return openConnection(
    connections,
    name,
    () => new VaultConnection(resolveOptions(options, name), connections.bus, clock, transport?.()),
    (connection) => start(connection, modules, transport !== undefined),
  );
}

/** Logs in, and reads the secrets that the application injects. */
async function start(
  connection: VaultConnection,
  modules: ModulesContainer,
  simulated: boolean,
): Promise<void> {
  const cancelReport = logSlowStart(connection, new Logger('VaultModule'), simulated);
  try {
    const left = await connection.login();
    await prefetch(connection, wantedSecrets(modules, connection.name, isOwnProvider), left());
  } finally {
    cancelReport();
  }
}

const CONNECTIONS = new WeakMap<ModulesContainer, VaultConnections>();

/** One for each application: see {@link VaultConnections.once}. */
function declareConnections(modules: ModulesContainer): VaultConnections {
  const known = CONNECTIONS.get(modules);
  if (known) return known;
  const declared = [...modules.values()].flatMap((module) =>
    [...module.providers].flatMap(([token, wrapper]) => {
      const name = connectionOf(token);
      // The other copy of this package (ESM, CommonJS) has a class of its own.
      const own = (wrapper as Wrapper).inject?.includes(VaultConnections) ?? false;
      return name === undefined ? [] : [{ name, own }];
    }),
  );
  const connections = new VaultConnections(declared);
  CONNECTIONS.set(modules, connections);
  logEvents(connections.bus.events$, new Logger('VaultModule'));
  return connections;
}
