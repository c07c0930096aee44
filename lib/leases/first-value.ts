import type { Observable } from 'rxjs';
import type { Clock } from '../clock/clock.js';

/** The first value of a stream; an error where it ends without one, or does not come in time. */
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
      // A value may come before subscribe has returned.
      queueMicrotask(() => subscription.unsubscribe());
    }
  });
}
