import { isVersion } from '../../client/answer.js';
import { VaultError } from '../../errors/vault-error.js';
import { KV_CALLS, type KvCall } from './kv-calls.js';
import type { KvDeleteOptions } from './kv-options.js';
import type { KvRequests } from './kv-requests.js';
import { requireVersion2, type KvTarget } from './kv-target.js';

/** Deletes the latest version, or the named ones. */
export async function deleteKv(
  requests: KvRequests,
  target: KvTarget,
  options: KvDeleteOptions,
): Promise<void> {
  if (!('versions' in options)) {
    await requests.send(KV_CALLS.deleteLatest, target);
    return;
  }
  requireVersion2(target, 'versions');
  await sendVersions(requests, KV_CALLS.deleteVersions, target, options.versions);
}

/** Restores deleted versions. */
export async function undeleteKv(
  requests: KvRequests,
  target: KvTarget,
  versions: readonly number[],
): Promise<void> {
  requireVersion2(target, 'undelete');
  await sendVersions(requests, KV_CALLS.undelete, target, versions);
}

/** Removes the data of versions for good. */
export async function destroyKv(
  requests: KvRequests,
  target: KvTarget,
  versions: readonly number[],
): Promise<void> {
  requireVersion2(target, 'destroy');
  await sendVersions(requests, KV_CALLS.destroy, target, versions);
}

/** Servers answer 204 for versions and secrets that do not exist, too. */
async function sendVersions(
  requests: KvRequests,
  call: KvCall,
  target: KvTarget,
  versions: unknown,
): Promise<void> {
  if (!Array.isArray(versions) || versions.length === 0 || !versions.every(isVersion)) {
    throw new VaultError({
      code: 'VAULT_REQUEST_INVALID',
      message: `The request for ${target.full} was not sent: it names no versions.`,
      hint: 'Give a list of version numbers, for example [1, 2]; `metadata` has all of them.',
      path: target.path,
    });
  }
  await requests.send(call, target, { body: { versions } });
}
