import type { ModulesContainer } from '@nestjs/core';
import 'reflect-metadata';
import { definitionOf, type InjectionDefinition } from '../vault.tokens.js';
import type { Wrapper } from './nest-container.js';

/** Metadata keys of Nest's `@Inject` for parameters and properties. */
const PARAMETERS = 'self:paramtypes';
const PROPERTIES = 'self:properties_metadata';

/** Factories that read secrets themselves. */
const READERS = new WeakMap<object, readonly string[]>();

/** Records the secrets that a factory reads without injecting them. */
export function willRead(factory: object, tokens: readonly string[]): void {
  READERS.set(factory, tokens);
}

/**
 * The secrets of one connection that providers, controllers and factories of this application inject, so that they can
 * be read in parallel and every failure be reported at once. Overridden tokens and classes are left out.
 *
 * @param isOwnProvider whether this package made a provider, and not a test that overrides it
 */
export function wantedSecrets(
  modules: ModulesContainer,
  connection: string,
  isOwnProvider: (provider: unknown) => boolean,
): InjectionDefinition[] {
  const wanted = new Map<string, InjectionDefinition>();
  const overridden = new Set<unknown>();
  for (const module of modules.values()) {
    for (const [token, wrapper] of module.providers) {
      if (definitionOf(token) && !isOwnProvider((wrapper as Wrapper).metatype)) overridden.add(token);
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
 * @param orDeclared also true if a feature declares it
 */
export function isInjected(modules: ModulesContainer, token: string, orDeclared: boolean): boolean {
  const how = injectedBy(modules).get(token);
  return how === 'injected' || (orDeclared && how === 'declared');
}

type Injected = ReadonlyMap<unknown, 'injected' | 'declared'>;

/** Lazy modules add to a container, so the number of its members shows whether the cached answer is complete. */
const INJECTED = new WeakMap<ModulesContainer, { members: number; tokens: Injected }>();

/** All tokens that the classes and factories of an application inject, or its features declare. */
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

/** The tokens that a class, with its base classes, or a factory injects. */
function injectedTokens({ metatype, inject }: Wrapper): unknown[] {
  const ofFactory = (inject ?? []).map((item) => (item as { token?: unknown } | null)?.token ?? item);
  if (typeof metatype !== 'function') return ofFactory;
  const noted = <E>(key: string) => (Reflect.getMetadata(key, metatype) ?? []) as E[];
  // A constructor replaces the parameters of the one that it overrides.
  const parameters = new Map(
    noted<{ index: number; param: unknown }>(PARAMETERS).map(({ index, param }) => [index, param]),
  );
  const properties = noted<{ type: unknown }>(PROPERTIES).map(({ type }) => type);
  return [...ofFactory, ...parameters.values(), ...properties];
}
