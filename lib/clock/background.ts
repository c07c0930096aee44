import { AsyncResource } from 'node:async_hooks';

/** Its end is told by itself: nothing is open, and `jest --detectOpenHandles` lists what has none. */
const resource = () => new AsyncResource('VAULT', { requireManualDestroy: true });

/** The context in which this file was loaded: in nearly all applications, that of no request. */
const outside = resource().emitDestroy();

/**
 * Runs work that belongs to no caller, such as a renewal or a login that several callers share. Whatever it starts
 * (timers, sockets, promises) does not see the `AsyncLocalStorage` stores of the request that happened to be first, and
 * does not keep them in memory.
 */
export function background<T>(work: () => T): T {
  // Below Node 24, `enterWith` in a listener changes the resource that runs: a new one each time, so that it ends there.
  return outside.runInAsyncScope(() => {
    const own = resource();
    try {
      return own.runInAsyncScope(work);
    } finally {
      own.emitDestroy();
    }
  });
}
