import { isObject } from '../../client/answer-members.js';
import { malformed } from '../../errors/common-errors.js';
import { VaultError } from '../../errors/vault-error.js';
import { KV_CALLS } from './kv-calls.js';
import type { KvSend } from './kv-requests.js';
import type { KvTarget } from './kv-target.js';

/** The names in a folder, those of folders with a slash at the end; none if there is no such folder. */
export async function listKv(send: KvSend, folder: KvTarget): Promise<string[]> {
  try {
    const { data } = await send(KV_CALLS.list, folder);
    const answer = data.reveal();
    const keys = isObject(answer) ? answer['keys'] : undefined;
    if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string'))
      throw malformed(folder.at('metadata'));
    return keys;
  } catch (error) {
    if (error instanceof VaultError && error.code === 'VAULT_SECRET_NOT_FOUND') return [];
    throw error;
  }
}
