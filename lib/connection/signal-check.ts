import { systemClock } from '../clock/clock.js';

/** Milliseconds after the start: `main.ts` may call `enableShutdownHooks()` after `listen()`. */
const LOOK_AFTER = 1_000;

/**
 * Warns once if SIGTERM would end the process without a listener.
 *
 * @param remedy a sentence for the operator
 * @returns a function that cancels the check
 */
export function warnWithoutListener(warn: (line: string) => void, remedy: string): () => void {
  return systemClock.setTimer(LOOK_AFTER, () => {
    if (process.listenerCount('SIGTERM') > 0) return;
    warn(
      `The process has no listener for SIGTERM, so its credentials stay valid until their TTL ends. ${remedy}`,
    );
  });
}
