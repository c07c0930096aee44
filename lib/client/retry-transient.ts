import { isTransient, VaultError } from '../errors/vault-error.js';
import { backoff } from '../clock/backoff.js';
import { sleep, type Clock } from '../clock/clock.js';

/** A budget that is used up, or 0, still leaves one try so many milliseconds. */
const ONE_TRY = 1_000;

/**
 * Repeats a job whose failures may pass by themselves, until `budget` milliseconds are over. A try that hangs is not
 * waited for any longer than that.
 */
export async function retryTransient<T>(
  job: () => Promise<T>,
  options: {
    clock: Clock;
    budget: number;
    retry: { initialDelay: number; maxDelay: number; jitter: number };
    signal: AbortSignal;
  },
): Promise<T> {
  const { clock, budget, retry, signal } = options;
  const end = clock.monotonic() + budget;
  for (let attempt = 1; ; attempt++) {
    try {
      return await within(job(), Math.max(end - clock.monotonic(), ONE_TRY), clock);
    } catch (error) {
      if (!(error instanceof VaultError) || !isTransient(error)) throw error;
      const left = end - clock.monotonic();
      const delay = Math.max(error.retryAfter ?? 0, backoff(attempt, retry, { left, ttl: Infinity }));
      if (delay >= left) throw error;
      try {
        await sleep(clock, delay, signal);
      } catch {
        throw error;
      }
    }
  }
}

async function within<T>(work: Promise<T>, limit: number, clock: Clock): Promise<T> {
  let cancel = () => {};
  const late = new Promise<never>((_resolve, reject) => {
    const error = () =>
      new VaultError({
        code: 'VAULT_TIMEOUT',
        message: `No answer within ${Math.round(limit)} ms.`,
        hint: 'Check the network and the load of the server; `startup.timeout` is how long a start may take.',
      });
    cancel = clock.setTimer(limit, () => reject(error()), true);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
