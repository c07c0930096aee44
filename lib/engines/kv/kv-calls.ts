import type { ApiRequest } from '../../client/api.types.js';
import { mayHaveExecuted, type VaultError } from '../../errors/vault-error.js';

/** One request of KV: how it is sent, and how a lost answer is handled. */
export interface KvCall {
  readonly method: ApiRequest['method'];
  /** Part of the API path after the mount, in version 2. */
  readonly part: 'data' | 'metadata' | 'subkeys' | 'delete' | 'undelete' | 'destroy';
  /** Capabilities that a policy must grant at that path. */
  readonly capabilities: readonly string[];
  /**
   * The server may have executed a request whose answer was lost. `repeated`: a second execution has the same effect;
   * after a change of another writer it overrides that one, as a later call would, and no version is lost for good.
   * `read back`: the server executes it once only, and the version after `cas` shows whether it did. `not repeated`: a
   * second execution could destroy the work of another writer, so the caller gets the error with `outcomeUnknown`.
   */
  readonly afterLostAnswer: 'repeated' | 'read back' | 'not repeated';
}

/** All requests of KV. `docs/kv.md` has the same table. */
export const KV_CALLS = {
  read: { method: 'GET', part: 'data', capabilities: ['read'], afterLostAnswer: 'repeated' },
  list: { method: 'LIST', part: 'metadata', capabilities: ['list'], afterLostAnswer: 'repeated' },
  write: {
    method: 'POST',
    part: 'data',
    capabilities: ['create', 'update'],
    afterLostAnswer: 'not repeated',
  },
  writeWithCas: {
    method: 'POST',
    part: 'data',
    capabilities: ['create', 'update'],
    afterLostAnswer: 'read back',
  },
  patch: { method: 'PATCH', part: 'data', capabilities: ['patch'], afterLostAnswer: 'not repeated' },
  patchWithCas: { method: 'PATCH', part: 'data', capabilities: ['patch'], afterLostAnswer: 'read back' },
  // A repeated one would delete the version that another writer has written meanwhile.
  deleteLatest: { method: 'DELETE', part: 'data', capabilities: ['delete'], afterLostAnswer: 'not repeated' },
  deleteVersions: { method: 'POST', part: 'delete', capabilities: ['update'], afterLostAnswer: 'repeated' },
  undelete: { method: 'POST', part: 'undelete', capabilities: ['update'], afterLostAnswer: 'repeated' },
  // A repeated one would destroy the version of the same number, if the secret was removed and created meanwhile.
  destroy: { method: 'POST', part: 'destroy', capabilities: ['update'], afterLostAnswer: 'not repeated' },
  metadata: { method: 'GET', part: 'metadata', capabilities: ['read'], afterLostAnswer: 'repeated' },
  writeMetadata: {
    method: 'POST',
    part: 'metadata',
    capabilities: ['create', 'update'],
    afterLostAnswer: 'repeated',
  },
  // A repeated one would delete the secret that another writer has created meanwhile.
  deleteMetadata: {
    method: 'DELETE',
    part: 'metadata',
    capabilities: ['delete'],
    afterLostAnswer: 'not repeated',
  },
  subkeys: { method: 'GET', part: 'subkeys', capabilities: ['read'], afterLostAnswer: 'repeated' },
} as const satisfies Readonly<Record<string, KvCall>>;

/** Whether the server may have executed the request at a path, although there is no usable answer. */
export function isLost(error: VaultError, path: string): boolean {
  // The storage of the server may have failed after it took the write.
  return mayHaveExecuted(error, path) || (error.code === 'VAULT_BACKEND_FAILED' && error.path === path);
}

/** Whether a call is sent again after a transient failure. */
export function isSentAgain(call: KvCall, error: VaultError, path: string): boolean {
  return call.afterLostAnswer !== 'not repeated' || !isLost(error, path);
}
