import { systemClock } from '../clock/clock.js';

/** Milliseconds for the options of a connection to arrive: `startup.timeout` is not known before. */
export const OPTIONS_TIMEOUT = 10_000;

/**
 * Calls a function once after {@link OPTIONS_TIMEOUT}, or when nothing else keeps the process alive.
 *
 * @param delayed whether the options may still be on their way, because other work of the start goes on
 * @returns a function that cancels the call
 */
export function whenOptionsAreLate(late: () => void, delayed: () => boolean = () => false): () => void {
  let cancelTimer = () => {};
  const cancel = () => {
    cancelTimer();
    process.removeListener('beforeExit', end);
  };
  const end = () => {
    cancel();
    late();
  };
  const wait = () => {
    cancelTimer = systemClock.setTimer(OPTIONS_TIMEOUT, () => (delayed() ? wait() : end()));
  };
  wait();
  process.once('beforeExit', end);
  return cancel;
}
