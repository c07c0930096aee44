import type { ModulesContainer } from '@nestjs/core';
// Not exported by the root of the package; the file exists in Nest 11 and 12.
import { STATIC_CONTEXT } from '@nestjs/core/injector/constants.js';

/** The part of Nest's `InstanceWrapper` that this package reads. The matrix tests it on Nest 11.0 to 12. */
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
 * A list with late members: Nest reads `providers` and `exports` of a dynamic module when it first scans the module,
 * and iterates them after all modules were scanned, promises of modules included.
 *
 * @param late returns members that are known only then
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
 * Makes Nest call the factory of a static provider again at a later injection (by a lazy module, `ModuleRef.create`).
 * The factory calls it during its first run.
 */
export function resolveAgain(modules: ModulesContainer, token: unknown, factory: unknown): void {
  for (const module of modules.values()) {
    const wrapper = module.providers.get(token as string) as unknown as StaticWrapper | undefined;
    if (!wrapper || wrapper.metatype !== factory) continue;
    // Nest resolves this promise after it has stored the result of the factory.
    void wrapper.getInstanceByContextId(STATIC_CONTEXT).donePromise?.then(() => {
      const { instance } = wrapper.getInstanceByContextId(STATIC_CONTEXT);
      wrapper.setInstanceByContextId(STATIC_CONTEXT, { instance, isResolved: false, isPending: false });
    });
  }
}
