import type { ModulesContainer } from '@nestjs/core';
import 'reflect-metadata';
import { definitionOf, type InjectionDefinition } from '../vault.tokens.js';

interface Wrapper {
  metatype: unknown;
  inject?: unknown[] | null;
}

/** Where Nest's `@Inject` notes what the parameters and the properties of a class ask for. */
const PARAMETERS = 'self:paramtypes';
const PROPERTIES = 'self:properties_metadata';

/** Factories that read secrets by themselves. */
const READERS = new WeakMap<object, readonly string[]>();

/** Notes what a factory will read, though it does not inject it. */
export function willRead(factory: object, tokens: readonly string[]): void {
  READERS.set(factory, tokens);
}

/**
 * What the providers, controllers and factories of this application ask of one connection, so that it can be
 * read in parallel and every failure be told at once. Overridden tokens and overridden classes ask for nothing.
 *
 * @param isOurs whether a provider is the one this package made, and not what a test put in its place
 */
export function wantedSecrets(
  modules: ModulesContainer,
  connection: string,
  isOurs: (provider: unknown) => boolean,
): InjectionDefinition[] {
  const wanted = new Map<string, InjectionDefinition>();
  const overridden = new Set<unknown>();
  for (const module of modules.values()) {
    for (const [token, wrapper] of module.providers) {
      if (definitionOf(token) && !isOurs((wrapper as Wrapper).metatype)) overridden.add(token);
    }
  }
  for (const module of modules.values()) {
    for (const wrapper of [
      ...module.providers.values(),
      ...module.controllers.values(),
      ...module.injectables.values(),
    ] as Wrapper[]) {
      for (const token of injectedTokens(wrapper)) {
        const definition = definitionOf(token);
        if (definition?.connection === connection && !overridden.has(token))
          wanted.set(definition.token, definition);
      }
    }
  }
  return [...wanted.values()];
}

/** What a class, with its base classes, or a factory asks for. */
function injectedTokens({ metatype, inject }: Wrapper): unknown[] {
  const ofFactory = (inject ?? []).map((item) => (item as { token?: unknown } | null)?.token ?? item);
  if (typeof metatype !== 'function') return ofFactory;
  const noted = <E>(key: string) => (Reflect.getMetadata(key, metatype) ?? []) as E[];
  // A constructor that overrides another one asks for its own parameters in the place of those.
  const parameters = new Map(
    noted<{ index: number; param: unknown }>(PARAMETERS).map(({ index, param }) => [index, param]),
  );
  const properties = noted<{ type: unknown }>(PROPERTIES).map(({ type }) => type);
  return [...ofFactory, ...parameters.values(), ...properties, ...(READERS.get(metatype) ?? [])];
}
