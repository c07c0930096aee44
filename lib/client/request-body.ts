import { types } from 'node:util';
import { VaultError } from '../errors/vault-error.js';
import { isSecret } from '../secret/secret.js';

const NUMBERS =
  'It contains a number that JSON cannot represent (NaN, Infinity), or an integer above 2^53, which JavaScript rounds: ' +
  'send it as a string.';
const LARGE =
  'It contains an integer above 2^53, which servers round when it is written: send it as a string. If it was read from ' +
  'the server, send the changed keys only, by `patch`.';

/**
 * Serialises a body as JSON. Silently leaves out only undefined members.
 *
 * @param kind the data of a `secret` is written back as it was read: with the value of a `Secret` in its place, and with
 * large integers that servers do not round any more
 * @throws VaultError `VAULT_REQUEST_INVALID` for values that JSON cannot represent; the error does not show the values
 */
export function writeBody(body: unknown, path: string, kind: 'request' | 'secret' = 'request'): string {
  let json: string | undefined;
  let hint =
    'Check for a BigInt (send it as a string), an object that refers to itself, a function or a symbol in it.';
  const refuse = (remedy: string): never => {
    hint = remedy;
    throw new TypeError();
  };
  try {
    // JSON.stringify returns undefined for a function or symbol instead of throwing.
    json = JSON.stringify(body, function (this: Record<string, unknown>, key: string, written: unknown) {
      let given = this[key];
      let value = written;
      // Its toJSON() would send "[redacted]" as the value.
      while (isSecret(given)) {
        if (kind === 'request') refuse('It contains a Secret: give its value, by reveal().');
        given = given.reveal();
        value = isWritable(given) ? given.toJSON(key) : given;
      }
      if (ArrayBuffer.isView(given)) refuse('It contains bytes: send them as a string, usually in base64.');
      if (isChanged(value)) refuse(NUMBERS);
      if (typeof value === 'bigint' && kind === 'secret')
        return isRounded(value) ? Number(value) : refuse(LARGE);
      // Within an object, JSON.stringify leaves these out, or writes {} for them.
      if (typeof value === 'function' || typeof value === 'symbol') refuse(hint);
      if (value instanceof Map || value instanceof Set)
        refuse('It contains a Map or a Set: send an object or a list.');
      if (isThenable(value)) refuse('It contains a promise: `await` it first.');
      if (isEmptied(value))
        refuse('It contains an object that JSON writes as {}: send its data as a plain object.');
      if (types.isDate(given) && Number.isNaN(+given)) refuse('It contains an invalid Date.');
      return value;
    }) as string | undefined;
  } catch {
    json = undefined;
  }
  if (json !== undefined) return json;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The body of the request at ${path} cannot be written as JSON; no request was sent.`,
    hint,
    path,
  });
}

/** Whether a value says itself how it is written, as a Date does. */
function isWritable(value: unknown): value is { toJSON(key: string): unknown } {
  return typeof (value as { toJSON?: unknown } | null | undefined)?.toJSON === 'function';
}

function isThenable(value: unknown): boolean {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Whether JSON leaves out the data of an object: an error, or one of a class without enumerable members. */
function isEmptied(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Of any realm.
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return types.isNativeError(value) || (!isPlain && Object.keys(value).length === 0);
}

/** Whether the digits of an integer are those of a number, so that no server that computes with numbers changes them. */
function isRounded(integer: bigint): boolean {
  return String(Number(integer)) === String(integer);
}

/** Whether JSON would change a number, or JavaScript has rounded it already. */
function isChanged(value: unknown): boolean {
  if (typeof value !== 'number') return false;
  return !Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value));
}
