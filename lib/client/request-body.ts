import { VaultError } from '../errors/vault-error.js';
import { isSecret } from '../secret/secret.js';

/**
 * Writes a body as JSON.
 *
 * @throws VaultError `VAULT_REQUEST_INVALID` for what JSON has no form for; what is in it is not told
 */
export function writeBody(body: unknown, path: string): string {
  let json: string | undefined;
  let hint =
    'Look for a BigInt (send it as a text), an object that refers to itself, a function or a symbol in it.';
  try {
    // Of a function or a symbol it makes nothing, without a word.
    json = JSON.stringify(body, function (this: Record<string, unknown>, key: string, value: unknown) {
      if (!isSecret(this[key])) return value;
      // What it prints as would be taken for its value.
      hint = 'There is a Secret in it: give its value, by reveal().';
      throw new TypeError();
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
