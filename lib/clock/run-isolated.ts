/** Runs a user callback; an error it throws is rethrown in a microtask, so it cannot interrupt the caller. */
export function runIsolated(work: () => void): void {
  try {
    work();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
