import { isTransient, VaultError } from '../errors/vault-error.js';
import { backoff } from '../clock/backoff.js';
import { sleep, type Clock } from '../clock/clock.js';

/** Repeats a job whose failures may pass by themselves, until `budget` milliseconds are over. */
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
      return await job();
    } catch (error) {
      if (!(error instanceof VaultError) || !isTransient(error)) throw error;
      const left = end - clock.monotonic();
      const delay = error.retryAfter ?? backoff(attempt, retry, left);
      if (delay >= left) throw error;
      try {
        await sleep(clock, delay, signal);
      } catch {
        throw error;
      }
    }
  }
}
