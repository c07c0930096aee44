import type { DynamicModule, FactoryProvider } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { defer, from, switchAll, type Observable } from 'rxjs';
import type { VaultConnection } from './connection/vault-connection.js';
import { resolveAgain } from './discovery/nest-container.js';
import { prefetch, resolveInjection, resolveOptional } from './discovery/resolve-injection.js';
import { UndeclaredSecret } from './discovery/undeclared-secret.js';
import { isInjected, wantedOf, wantedSecrets, willRead } from './discovery/wanted-secrets.js';
import {
  definitionOf,
  getConnectionToken,
  getCredentialsToken,
  getSecretToken,
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
    const needed = wanted.filter(({ definition }) => tokens.includes(definition.token));
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
export const isOwnProvider = (provider: unknown): boolean => OWN_FACTORIES.has(provider as object);

/**
 * Observables of credentials send no request before a subscription. A token that nothing injects may belong to another
 * application of this process, so its path is not even checked. A secret is read if a class of the application injects
 * it; otherwise, and where an optional secret is absent, Nest calls the factory again at the next injection.
 *
 * @param after tokens of providers to build first
 */
export function injectionProvider(definition: InjectionDefinition, ...after: string[]): FactoryProvider {
  const { token } = definition;
  let resolvedBefore = false;
  const useFactory = (connection: VaultConnection, modules: ModulesContainer) => {
    const again = (injected: boolean) => resolveAgain(modules, token, useFactory, injected);
    const declared = connection.startup.login === 'required';
    const resolve = () => resolveInjection(connection, definition);
    if (resolvedBefore || isInjected(modules, token, declared)) {
      const wanted = wantedOf(modules, token);
      if (!wanted?.optional) return resolve();
      return resolveOptional(connection, wanted).then((value) => {
        if (value === undefined) again(true);
        return value;
      });
    }
    if (definition.kind !== 'secret') return defer(resolve);
    resolvedBefore = true;
    again(false);
    return definition.watch ? live(resolve) : new UndeclaredSecret(definition);
  };
  OWN_FACTORIES.add(useFactory);
  return {
    provide: definition.token,
    inject: [getConnectionToken(definition.connection), ModulesContainer, ...after],
    useFactory,
  };
}

/** A live secret that is read at the first subscription. */
function live(resolve: () => unknown): Observable<unknown> {
  return defer(() => from(resolve() as Promise<Observable<unknown>>)).pipe(switchAll());
}
