import type { Observable } from 'rxjs';
import type { Clock } from '../clock/clock.js';

/** Resolves with the first value of a stream; rejects if the stream ends without a value, or after `timeout` ms. */
export function firstValue<T>(
  stream$: Observable<T>,
  timeout: number,
  clock: Clock,
  errors: { late: () => Error; ended: () => Error },
): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) => done(() => reject(error));
    const cancel = clock.setTimer(timeout, () => fail(errors.late()), true);
    const subscription = stream$.subscribe({
      next: (value) => done(() => resolve(value)),
      error: (error: unknown) => fail(error as Error),
      complete: () => fail(errors.ended()),
    });
    function done(settle: () => void) {
      cancel();
      settle();
      // A value may arrive before `subscribe` has returned.
      queueMicrotask(() => subscription.unsubscribe());
    }
  });
}
