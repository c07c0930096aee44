import { expect } from 'vitest';
import { expectFit } from './fit.js';
import { MISPLACED, OWN_ERROR } from './odd-values.js';

/**
 * Refused values must be refused by a `VaultError` that shows nothing of the value.
 *
 * @param shows the value is a name, which is not secret
 */
export function attempt<T>(work: () => T, shows = false): T | undefined {
  try {
    return work();
  } catch (error) {
    // A getter of the caller may throw any error.
    if (error === OWN_ERROR) return undefined;
    expectFit(error);
    const shown = `${error.message}${JSON.stringify(error)}`;
    expect(!shows && shown.includes(MISPLACED), 'the given value is printed').toBe(false);
    return undefined;
  }
}
