import { AsyncResource } from 'node:async_hooks';

/** Destroyed by hand: otherwise `jest --detectOpenHandles` lists the resource as an open handle. */
const resource = () => new AsyncResource('VAULT', { requireManualDestroy: true });

/** The context in which this file was loaded. In nearly all applications it belongs to no request. */
const outside = resource().emitDestroy();

/**
 * Runs work that belongs to no caller, such as a renewal or a login that several callers share. Timers, sockets and
 * promises of this work do not see the `AsyncLocalStorage` stores of the first caller, and do not keep them in memory.
 */
export function background<T>(work: () => T): T {
  // Below Node 24, `enterWith` in a listener changes the running resource. A new resource each time limits the effect.
  return outside.runInAsyncScope(() => {
    const own = resource();
    try {
      return own.runInAsyncScope(work);
    } finally {
      own.emitDestroy();
    }
  });
}
