import { isObject } from '../../client/answer-members.js';
import type { Explain } from '../../client/failed-response.js';
import { malformed } from '../../errors/common-errors.js';
import { VaultError } from '../../errors/vault-error.js';
import { KV_CALLS } from './kv-calls.js';
import type { KvSend } from './kv-requests.js';
import type { KvTarget } from './kv-target.js';

/** The names in a folder, those of folders with a slash at the end; none if there is no such folder. */
export async function listKv(send: KvSend, folder: KvTarget): Promise<string[]> {
  try {
    const { data } = await send(KV_CALLS.list, folder, { explain: explainList });
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

/** The answer of a mount of version 2 has the status of an empty folder. */
const explainList: Explain = ({ status, path, said }) =>
  status === 404 && said(/versioned K\/V/i)
    ? {
        code: 'VAULT_REQUEST_INVALID',
        message: `The mount of ${path} is KV version 2, but was listed as version 1.`,
        hint: 'Set `kvVersion: 2`, which is the default, or list a mount of version 1.',
      }
    : undefined;
