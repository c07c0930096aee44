import type { ModulesContainer } from '@nestjs/core';
// Not exported by the root of the package; the file is there in Nest 11 and 12.
import { STATIC_CONTEXT } from '@nestjs/core/injector/constants.js';

/** The part of Nest's `InstanceWrapper` that this package reads. The matrix tries it on Nest 11.0 to 12. */
export interface Wrapper {
  metatype: unknown;
  inject?: unknown[] | null;
}

interface InstanceHost {
  instance: unknown;
  isResolved?: boolean;
  isPending?: boolean;
  donePromise?: Promise<unknown>;
}

interface StaticWrapper extends Wrapper {
  getInstanceByContextId(context: object): InstanceHost;
  setInstanceByContextId(context: object, host: InstanceHost): void;
}

/**
 * A list that Nest completes later than it reads it: it takes `providers` and `exports` of a dynamic module when it
 * first meets the module, and walks them after all modules were scanned, promises of modules included.
 *
 * @param late members that are known only then
 */
export function lateList<T>(known: readonly T[], late: () => Iterable<T>): T[] {
  return Object.defineProperty([...known], Symbol.iterator, {
    value: function* (this: T[]) {
      for (let index = 0; index < this.length; index++) yield this[index] as T;
      yield* late();
    },
  });
}

/**
 * Has Nest call a factory of a static provider again where something injects it later (a lazy module,
 * `ModuleRef.create`). Called by the factory while it runs for the first time.
 */
export function resolveAgain(modules: ModulesContainer, token: unknown, factory: unknown): void {
  for (const module of modules.values()) {
    const wrapper = module.providers.get(token as string) as unknown as StaticWrapper | undefined;
    if (!wrapper || wrapper.metatype !== factory) continue;
    // Nest resolves this promise when it has taken what the factory returned.
    void wrapper.getInstanceByContextId(STATIC_CONTEXT).donePromise?.then(() => {
      const { instance } = wrapper.getInstanceByContextId(STATIC_CONTEXT);
      wrapper.setInstanceByContextId(STATIC_CONTEXT, { instance, isResolved: false, isPending: false });
    });
  }
}
