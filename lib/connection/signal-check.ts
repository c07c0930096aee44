import { systemClock } from '../clock/clock.js';
import { VaultLogLine } from '../events/log-line.js';
import { write, type VaultLogger } from '../events/logger.js';

/** Milliseconds after the start: `main.ts` may call `enableShutdownHooks()` after `listen()`. */
const LOOK_AFTER = 1_000;

/**
 * Warns once if SIGTERM would end the process without a listener.
 *
 * @param remedy a sentence for the operator
 * @param connection its name, if there is only one
 * @returns a function that cancels the check
 */
export function warnWithoutListener(logger: VaultLogger, remedy: string, connection?: string): () => void {
  return systemClock.setTimer(LOOK_AFTER, () => {
    if (process.listenerCount('SIGTERM') > 0) return;
    const text = `The process has no listener for SIGTERM, so its credentials stay valid until their TTL ends. ${remedy}`;
    const members = connection === undefined ? {} : { connection };
    write(logger, new VaultLogLine('no-signal-listener', text, members));
  });
}
