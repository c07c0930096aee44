import type { ModulesContainer } from '@nestjs/core';
import { injectedTokens } from '../decorators/record.js';
import { definitionOf, type InjectionDefinition } from '../vault.tokens.js';

interface Wrapper {
  metatype: unknown;
  inject?: unknown[] | null;
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
      const tokens = [
        ...(wrapper.inject ?? []),
        ...(typeof wrapper.metatype === 'function' ? injectedTokens(wrapper.metatype) : []),
      ];
      for (const token of tokens) {
        const definition = definitionOf(token);
        if (definition?.connection === connection && !overridden.has(token))
          wanted.set(definition.token, definition);
      }
    }
  }
  return [...wanted.values()];
}
