import { expect, it } from 'vitest';
import { HIDDEN, PRINTERS } from './printers.js';

const CANARY = 'canary-in-an-error';

/** An error with a secret wherever an error can have one. */
function leaky(): Error {
  const error = Object.assign(new Error(CANARY, { cause: new Error(CANARY) }), { client: { auth: CANARY } });
  // What formats of winston and template strings would show of an object.
  return Object.defineProperty(error, 'hidden', { value: CANARY, enumerable: false });
}

it.each(Object.entries({ ...PRINTERS, ...HIDDEN }))('%s shows what is there', (_name, print) => {
  expect(print(leaky())).toContain(CANARY);
});
