import type { ModulesContainer } from '@nestjs/core';
// Not exported by the root of the package; the file exists in Nest 11 and 12.
import { STATIC_CONTEXT } from '@nestjs/core/injector/constants.js';

/** The part of Nest's `InstanceWrapper` that this package reads. The matrix tests it on Nest 11.0 to 12. */
export interface Wrapper {
  metatype: unknown;
  inject?: unknown[] | null;
}

type Collection = ReadonlyMap<unknown, unknown>;

/** All that Nest may instantiate in a module. */
export function collectionsOf({
  providers,
  controllers,
  injectables,
}: Readonly<Record<'providers' | 'controllers' | 'injectables', Collection>>): Collection[] {
  return [providers, controllers, injectables];
}

/**
 * The container of the application in which Nest calls the factory of a provider.
 *
 * @param caller `this` of the factory: Nest calls it as a method of the provider's wrapper
 */
export function containerOf(caller: unknown): ModulesContainer | undefined {
  const { host } = (caller ?? {}) as { host?: { container?: { getModules?(): ModulesContainer } } };
  return host?.container?.getModules?.();
}

/** The first provider with this token, in any module of an application. */
export function providerOf(modules: ModulesContainer, token: unknown): StaticWrapper | undefined {
  for (const { providers } of modules.values()) {
    const wrapper = providers.get(token as string) as unknown as StaticWrapper | undefined;
    if (wrapper) return wrapper;
  }
  return undefined;
}

/** The instance of a static provider, when Nest has built it; undefined if there is no such provider. */
export async function instanceOf<T>(modules: ModulesContainer, token: unknown): Promise<T | undefined> {
  const wrapper = providerOf(modules, token);
  await wrapper?.getInstanceByContextId(STATIC_CONTEXT).donePromise;
  return wrapper?.getInstanceByContextId(STATIC_CONTEXT).instance as T | undefined;
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
 * The factory calls it while it runs.
 *
 * @param isInjected whether something injects the result of this run: Nest checks the provider again when it gives out
 * the result, in the same turn of the event loop
 */
export function resolveAgain(
  modules: ModulesContainer,
  token: unknown,
  factory: unknown,
  isInjected: boolean,
): void {
  for (const module of modules.values()) {
    const wrapper = module.providers.get(token as string) as unknown as StaticWrapper | undefined;
    if (!wrapper || wrapper.metatype !== factory) continue;
    const forget = () => {
      const { instance } = wrapper.getInstanceByContextId(STATIC_CONTEXT);
      wrapper.setInstanceByContextId(STATIC_CONTEXT, { instance, isResolved: false, isPending: false });
    };
    // Nest resolves this promise after it has stored the result of the factory.
    const { donePromise } = wrapper.getInstanceByContextId(STATIC_CONTEXT);
    void donePromise?.then(() => void (isInjected ? setImmediate(forget) : forget()));
  }
}
