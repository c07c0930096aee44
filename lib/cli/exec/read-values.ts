import { isObject } from '../../client/answer-members.js';
import { VaultError } from '../../errors/vault-error.js';
import { listed, printable } from '../../errors/printable.js';
import type { Vault } from '../../services/connect-vault.js';
import type { Wanted } from './wanted.js';

/** A value for the command. */
export interface Value extends Wanted {
  readonly value: string;
}

/**
 * Reads every path once, and takes the values out of the answers.
 *
 * @throws VaultError of the reads, and `VAULT_SECRET_KEY_MISSING`
 */
export async function readValues({ credentials }: Vault, wanted: readonly Wanted[]): Promise<Value[]> {
  return Promise.all(
    wanted.map(async (one) => {
      const { data } = await credentials.get(one.path);
      return { ...one, value: valueOf(contentOf(data.reveal()), one) };
    }),
  );
}

/** KV v2 has the secret in a member of its own. */
function contentOf(data: Record<string, unknown>): Record<string, unknown> {
  return isObject(data['data']) && isObject(data['metadata']) ? data['data'] : data;
}

function valueOf(data: Record<string, unknown>, { path, key }: Wanted): string {
  const value = Object.hasOwn(data, key) ? data[key] : undefined;
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return String(value);
  throw new VaultError({
    code: 'VAULT_SECRET_KEY_MISSING',
    message: `The secret at ${path} has no text with the key "${printable(key, 100)}".`,
    hint: `Existing keys: ${listed(Object.keys(data)) || 'none'}.`,
    path,
  });
}
