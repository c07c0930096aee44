/** Runs what belongs to the application: what it throws is thrown apart, and what comes after it is done all the same. */
export function runIsolated(work: () => void): void {
  try {
    work();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
