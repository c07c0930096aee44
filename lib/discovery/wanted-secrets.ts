import type { ModulesContainer } from '@nestjs/core';
import 'reflect-metadata';
import { definitionOf, type InjectionDefinition } from '../vault.tokens.js';
import type { Wrapper } from './nest-container.js';

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
  for (const token of injectedBy(modules).keys()) {
    const definition = definitionOf(token);
    if (definition?.connection === connection && !overridden.has(token))
      wanted.set(definition.token, definition);
  }
  return [...wanted.values()];
}

/**
 * Whether a class or a factory of this application injects a token.
 *
 * @param orDeclared or a feature declares it
 */
export function isInjected(modules: ModulesContainer, token: string, orDeclared: boolean): boolean {
  const how = injectedBy(modules).get(token);
  return how === 'injected' || (orDeclared && how === 'declared');
}

type Injected = ReadonlyMap<unknown, 'injected' | 'declared'>;

/** Lazy modules add to a container, so the number of its members tells whether the answer is still complete. */
const INJECTED = new WeakMap<ModulesContainer, { members: number; tokens: Injected }>();

/** Everything that the classes and factories of an application inject, or its features declare. */
function injectedBy(modules: ModulesContainer): Injected {
  const wrappers = [...modules.values()].flatMap(({ providers, controllers, injectables }) => [
    ...providers.values(),
    ...controllers.values(),
    ...injectables.values(),
  ]) as Wrapper[];
  const known = INJECTED.get(modules);
  if (known?.members === wrappers.length) return known.tokens;
  const tokens = new Map<unknown, 'injected' | 'declared'>();
  for (const { metatype } of wrappers) {
    for (const token of READERS.get(metatype as object) ?? []) tokens.set(token, 'declared');
  }
  for (const wrapper of wrappers) {
    for (const token of injectedTokens(wrapper)) tokens.set(token, 'injected');
  }
  INJECTED.set(modules, { members: wrappers.length, tokens });
  return tokens;
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
  return [...ofFactory, ...parameters.values(), ...properties];
}
