import { isTransient, VaultError } from '../errors/vault-error.js';
import { backoff, staggered } from './backoff.js';
import { sleep, type Clock } from '../clock/clock.js';
import { withTimeout } from '../clock/with-timeout.js';

/** Minimum time of one attempt in milliseconds, even with a budget of 0. */
const MIN_ATTEMPT_TIME = 1_000;

/**
 * Repeats a job after transient failures for up to `budget` milliseconds. A hanging attempt is abandoned at the end.
 */
export async function retryWithinBudget<T>(
  job: () => Promise<T>,
  options: {
    clock: Clock;
    budget: number;
    retry: { initialDelay: number; maxDelay: number; jitter: number };
    signal: AbortSignal;
    /** Whether another attempt does no harm after this transient failure. @default always */
    again?: ((error: VaultError) => boolean) | undefined;
    /** Milliseconds that one attempt may take, whatever is left of the budget; it may grow while the attempt runs. */
    attempt?: (() => number | undefined) | undefined;
    /** The reason why an attempt hangs, if it is known. */
    late?: (limit: number) => VaultError | undefined;
    /** Called with a failure after which the job is repeated. */
    failed?: (error: VaultError) => void;
  },
): Promise<T> {
  const { clock, budget, retry, signal, attempt: atLeast, again = () => true } = options;
  const end = clock.monotonic() + budget;
  for (let attempt = 1; ; attempt++) {
    try {
      const left = end - clock.monotonic();
      const limit = () => Math.max(left, atLeast?.() ?? MIN_ATTEMPT_TIME);
      return await withTimeout(job(), limit, clock, () => options.late?.(limit()) ?? late(limit()));
    } catch (error) {
      if (!(error instanceof VaultError) || !isTransient(error) || !again(error)) throw error;
      const left = end - clock.monotonic();
      const asked = error.retryAfter ?? 0;
      const spread = staggered(asked, retry.jitter);
      const delay = Math.max(
        spread < left ? spread : asked,
        backoff(attempt, retry, { left, ttl: Infinity }),
      );
      if (delay >= left) throw error;
      options.failed?.(error);
      try {
        await sleep(clock, delay, signal);
      } catch {
        throw error;
      }
    }
  }
}

function late(limit: number): VaultError {
  return new VaultError({
    code: 'VAULT_TIMEOUT',
    outcomeUnknown: true,
    message: `No answer within ${Math.round(limit)} ms.`,
    hint: 'Check the network and the load of the server; `startup.timeout` limits a start, `timeout` later requests.',
  });
}
