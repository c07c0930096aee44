import type { ModulesContainer } from '@nestjs/core';
import 'reflect-metadata';
import { definitionOf, isRotationKey } from '../vault.tokens.js';
import { collectionsOf, type Wrapper } from './nest-container.js';
import type { Wanted } from './resolve-injection.js';

/** Metadata keys of Nest's `@Inject` and `@Optional`, for parameters and properties. */
const PARAMETERS = 'self:paramtypes';
const PROPERTIES = 'self:properties_metadata';
const OPTIONAL_PARAMETERS = 'optional:paramtypes';
const OPTIONAL_PROPERTIES = 'optional:properties_metadata';

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
): Wanted[] {
  const overridden = new Set<unknown>();
  for (const module of modules.values()) {
    for (const [token, wrapper] of module.providers) {
      if (definitionOf(token) && !isOwnProvider((wrapper as Wrapper).metatype)) overridden.add(token);
    }
  }
  return [...usesIn(modules).keys()]
    .filter((token) => !overridden.has(token))
    .flatMap((token) => wantedOf(modules, token) ?? [])
    .filter(({ definition }) => definition.connection === connection);
}

/** One secret, if a class or a factory of this application injects it, or a feature declares it. */
export function wantedOf(modules: ModulesContainer, token: unknown): Wanted | undefined {
  const definition = definitionOf(token);
  const use = usesIn(modules).get(token);
  if (!definition || !use) return undefined;
  // A declaration, or a method that wants to know of rotations, says nothing where an injection does.
  const optional = use.injections > 0 && use.required === 0;
  return { definition, optional, modules: [...use.modules] };
}

/**
 * Whether a class or a factory of this application injects a token.
 *
 * @param orDeclared also true if a feature declares it
 */
export function isInjected(modules: ModulesContainer, token: string, orDeclared: boolean): boolean {
  const use = usesIn(modules).get(token);
  return use !== undefined && (orDeclared || use.injections > 0 || use.methods > 0);
}

/** The uses of one token in an application. */
interface Use {
  injections: number;
  /** Injections without `@Optional()`. */
  required: number;
  /** Methods with `@OnRotation`. */
  methods: number;
  readonly modules: Set<string>;
}

type Uses = ReadonlyMap<unknown, Use>;

/** Lazy modules add to a container, so the number of its members shows whether the cached answer is complete. */
const USES = new WeakMap<ModulesContainer, { members: number; uses: Uses }>();

/** All tokens that the classes and factories of an application inject, or its features declare. */
function usesIn(modules: ModulesContainer): Uses {
  const all = [...modules.values()];
  const members = all.flatMap(collectionsOf).reduce((count, { size }) => count + size, 0);
  const known = USES.get(modules);
  if (known?.members === members) return known.uses;
  const uses = new Map<unknown, Use>();
  const useOf = (token: unknown) => {
    const use = uses.get(token) ?? { injections: 0, required: 0, methods: 0, modules: new Set<string>() };
    uses.set(token, use);
    return use;
  };
  const wrappers = all.flatMap((module) =>
    collectionsOf(module).flatMap((collection) =>
      [...collection.values()].map((wrapper) => ({ module, wrapper: wrapper as Wrapper })),
    ),
  );
  for (const { module, wrapper } of wrappers) {
    for (const token of READERS.get(wrapper.metatype as object) ?? []) {
      const use = useOf(token);
      // The module of the feature itself has no name: `forFeature` returns it to the one that imports it.
      for (const one of all) if (one.imports.has(module)) use.modules.add(one.name);
    }
    for (const { token, optional, method } of injectionsOf(wrapper)) {
      if (!definitionOf(token)) continue;
      const use = useOf(token);
      use.modules.add(module.name);
      if (method) use.methods++;
      else use.injections++;
      if (!method && !optional) use.required++;
    }
  }
  USES.set(modules, { members, uses });
  return uses;
}

interface Injection {
  token: unknown;
  optional: boolean;
  /** Whether it is the one of `@OnRotation`. */
  method?: boolean;
}

/** The injections of a class, with its base classes, or of a factory. */
function injectionsOf({ metatype, inject }: Wrapper): Injection[] {
  const ofFactory = (inject ?? []).map((item) => {
    const { token = item, optional = false } = (item ?? {}) as { token?: unknown; optional?: boolean };
    return { token, optional };
  });
  if (typeof metatype !== 'function') return ofFactory;
  const noted = <E>(key: string) => (Reflect.getMetadata(key, metatype) ?? []) as E[];
  const optionalParameters = noted<number>(OPTIONAL_PARAMETERS);
  const optionalProperties = noted<unknown>(OPTIONAL_PROPERTIES);
  // A constructor replaces the parameters of the one that it overrides.
  const parameters = new Map(
    noted<{ index: number; param: unknown }>(PARAMETERS).map(({ index, param }) => [
      index,
      { token: param, optional: optionalParameters.includes(index) },
    ]),
  );
  const properties = noted<{ key: unknown; type: unknown }>(PROPERTIES).map(({ key, type }) => ({
    token: type,
    optional: optionalProperties.includes(key),
    method: isRotationKey(key),
  }));
  return [...ofFactory, ...parameters.values(), ...properties];
}

/** Whether a class has a method with `@OnRotation`. */
export function hasRotationMethod(metatype: unknown): boolean {
  return injectionsOf({ metatype }).some(({ method }) => method);
}
