import { Scope } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { collectionsOf } from './nest-container.js';

interface ScopedWrapper {
  metatype: unknown;
  scope?: Scope;
  isDependencyTreeStatic(): boolean;
}

/**
 * The classes that Nest instantiates more than once: transient and request-scoped ones, and those that depend on a
 * request-scoped one. Correct after the start only, as Nest keeps the first answer about a class.
 */
export function scopedClasses(modules: ModulesContainer): Set<unknown> {
  const wrappers = [...modules.values()]
    .flatMap(collectionsOf)
    .flatMap((collection) => [...collection.values()]) as ScopedWrapper[];
  return new Set(
    wrappers
      .filter(({ metatype }) => typeof metatype === 'function')
      .filter((wrapper) => wrapper.scope === Scope.TRANSIENT || !wrapper.isDependencyTreeStatic())
      .map(({ metatype }) => metatype),
  );
}
