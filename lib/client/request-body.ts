import { VaultError } from '../errors/vault-error.js';
import { isSecret } from '../secret/secret.js';

const NUMBERS =
  'There is a number in it that JSON cannot hold (NaN, Infinity), or an integer above 2^53, which JavaScript rounds: ' +
  'send it as a string.';

/**
 * Writes a body as JSON. Nothing of it is left out or changed without a word, but members that are undefined.
 *
 * @throws VaultError `VAULT_REQUEST_INVALID` for what JSON has no form for; what is in it is not told
 */
export function writeBody(body: unknown, path: string): string {
  let json: string | undefined;
  let hint =
    'Look for a BigInt (send it as a string), an object that refers to itself, a function or a symbol in it.';
  const refuse = (remedy: string): never => {
    hint = remedy;
    throw new TypeError();
  };
  try {
    // Of a function or a symbol it makes nothing, without a word.
    json = JSON.stringify(body, function (this: Record<string, unknown>, key: string, value: unknown) {
      const given = this[key];
      // What it prints as would be taken for its value.
      if (isSecret(given)) refuse('There is a Secret in it: give its value, by reveal().');
      if (ArrayBuffer.isView(given))
        refuse('There are bytes in it: send them as a string, in base64 mostly.');
      if (isChanged(value)) refuse(NUMBERS);
      // Within an object, JSON leaves these out, or makes {} of them.
      if (typeof value === 'function' || typeof value === 'symbol') refuse(hint);
      if (value instanceof Map || value instanceof Set)
        refuse('There is a Map or a Set in it: send an object or a list.');
      return value;
    }) as string | undefined;
  } catch {
    json = undefined;
  }
  if (json !== undefined) return json;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The body of the request at ${path} cannot be written as JSON; nothing was sent.`,
    hint,
    path,
  });
}

/** Whether a number is written as another one, or was another one in the source already. */
function isChanged(value: unknown): boolean {
  if (typeof value !== 'number') return false;
  return !Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value));
}
