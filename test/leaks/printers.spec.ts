import { expect, it } from 'vitest';
import { HIDDEN, PRINTERS } from './printers.js';

const CANARY = 'canary-in-an-error';

/** An error with a secret in every place that can hold one. */
function leaky(): Error {
  const error = Object.assign(new Error(CANARY, { cause: new Error(CANARY) }), { client: { auth: CANARY } });
  // The text that winston's formats and template strings show of an object.
  return Object.defineProperty(error, 'hidden', { value: CANARY, enumerable: false });
}

it.each(Object.entries({ ...PRINTERS, ...HIDDEN }))(
  '%s shows the secret of a plain error',
  (_name, print) => {
    expect(print(leaky())).toContain(CANARY);
  },
);
