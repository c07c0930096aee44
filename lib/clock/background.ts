import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

/** The context in which this file was loaded: in nearly all applications, that of no request. */
const outside = AsyncLocalStorage.snapshot();

/**
 * Runs work that belongs to no caller, such as a renewal or a login that several callers share. Whatever it starts
 * (timers, sockets, promises) does not see the `AsyncLocalStorage` stores of the request that happened to be first, and
 * does not keep them in memory.
 */
export function background<T>(work: () => T): T {
  // Below Node 24, `enterWith` in a listener changes the resource that runs: a new one each time, so that it ends there.
  return outside(() => new AsyncResource('VAULT').runInAsyncScope(work));
}
