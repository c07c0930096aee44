import { isObject } from '../../client/answer-members.js';
import { parseExactly } from '../../client/exact-json.js';
import { writeBody } from '../../client/request-body.js';
import { malformed } from '../../errors/common-errors.js';
import { isTransient, VaultError, withSentence } from '../../errors/vault-error.js';
import { fingerprint } from '../../secret/fingerprint.js';
import type { Secret } from '../../secret/secret.js';
import { readVersion } from './kv-answers.js';
import { isLost, KV_CALLS, type KvCall } from './kv-calls.js';
import type { KvAnswer, KvRequests } from './kv-requests.js';
import { requireVersion2, type KvTarget } from './kv-target.js';
import { latestKv, readKv, uncached } from './read-kv.js';

/**
 * The version that a write has made. KV v1 has no versions.
 *
 * @publicApi
 */
export interface KvWritten {
  version?: number;
  createdAt?: Date;
}

/**
 * The data of a secret: an object, or a `Secret` of one. The value of a `Secret` at any level in it is sent in its place.
 *
 * @publicApi
 */
export type KvData = object | Secret<object>;

/** The result of a write with `cas`. */
export interface CasWritten extends KvWritten {
  /** The answer was lost, and the version after `cas` has the same data: by this write, or by another one. */
  lost?: VaultError;
}

/** Writes all data of a secret. */
export async function writeKv(
  requests: KvRequests,
  target: KvTarget,
  given: KvData,
  options: { cas?: number | undefined },
): Promise<KvWritten> {
  const data = plain(given, target);
  if (target.kvVersion === 1 && !('cas' in options)) {
    await requests.send(KV_CALLS.write, target, { body: data });
    return {};
  }
  const holds = (written: unknown) => fingerprint(written) === fingerprint(data);
  const { write, writeWithCas } = KV_CALLS;
  return sendData(requests, [write, writeWithCas], target, data, options, holds);
}

/** Changes the given members of a secret (JSON merge patch). */
export async function patchKv(
  requests: KvRequests,
  target: KvTarget,
  given: KvData,
  options: { cas?: number | undefined },
): Promise<KvWritten> {
  requireVersion2(target, 'patch');
  const data = plain(given, target);
  const { patch, patchWithCas } = KV_CALLS;
  return sendData(requests, [patch, patchWithCas], target, data, options, (written) => has(written, data));
}

async function sendData(
  requests: KvRequests,
  [call, callWithCas]: readonly [call: KvCall, callWithCas: KvCall],
  target: KvTarget,
  data: unknown,
  options: { cas?: number | undefined },
  holds: (data: unknown) => boolean,
): Promise<KvWritten> {
  if (!('cas' in options)) return written(await requests.send(call, target, { body: { data } }), target);
  const cas = assertCas(options.cas, target);
  try {
    const { version, createdAt } = await sendWithCas(requests, callWithCas, target, { cas, data, holds });
    return { version, createdAt } as KvWritten;
  } catch (error) {
    if (!isConflict(error)) throw error;
    const latest = await currentVersion(requests, target, cas);
    throw latest ? withSentence(error, `The current version is ${latest.version}.`, latest) : error;
  }
}

/** The current version after a conflict; nothing if the secret cannot be read, or if the answer is older than it. */
export async function currentVersion(
  requests: KvRequests,
  target: KvTarget,
  cas: number,
): Promise<{ version: number } | undefined> {
  const latest = await latestKv(requests.once, target).catch(() => undefined);
  return latest && latest.version !== cas ? { version: latest.version } : undefined;
}

/**
 * Writes with `cas`. A lost answer is no reason to give up: the request is sent again, and a conflict then leads to a
 * look at the version after `cas`, because it may be the one of the lost request.
 *
 * @param holds whether a version has the data that this write makes
 */
export async function sendWithCas(
  requests: KvRequests,
  call: KvCall,
  target: KvTarget,
  { cas, data, holds }: { cas: number; data: unknown; holds: (data: unknown) => boolean },
): Promise<CasWritten> {
  const path = target.at(call.part);
  const parameters = { body: { data, options: { cas } } };
  let lost: VaultError | undefined;
  let undecided: VaultError | undefined;
  const attempt = async (): Promise<CasWritten> => {
    try {
      return written(await requests.once(call, target, parameters), target);
    } catch (error) {
      if (!(error instanceof VaultError)) throw error;
      if (isLost(error, path)) lost = error;
      if (!lost || !isConflict(error)) throw error;
      const next = await readKv(uncached(requests.once), target, cas + 1).catch(
        (failed: VaultError) => failed,
      );
      if (next instanceof VaultError) {
        // A server that lags behind does not have the version yet.
        if (!isTransient(next) && next.code !== 'VAULT_SECRET_NOT_FOUND') undecided = lost;
        throw lost;
      }
      if (!holds(next.data.reveal())) throw error;
      return { version: cas + 1, ...(next.createdAt && { createdAt: next.createdAt }), lost };
    }
  };
  return requests.retry(call, target, attempt, (error) => error !== undecided);
}

/** The data as it is sent, without a `Secret` in it. */
export function plain(given: unknown, { full: path }: KvTarget): Readonly<Record<string, unknown>> {
  const data = parseExactly(writeBody(given, path, 'secret'));
  if (isObject(data)) return data;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The data for ${path} is no object; no request was sent.`,
    hint: 'Give an object, `{ key: value }`, or a Secret of one.',
    path,
  });
}

export function isConflict(error: unknown): error is VaultError {
  return error instanceof VaultError && error.code === 'VAULT_CAS_CONFLICT';
}

function assertCas(cas: unknown, target: KvTarget): number {
  requireVersion2(target, 'cas');
  if (Number.isSafeInteger(cas) && (cas as number) >= 0) return cas as number;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The write to ${target.full} was not sent: its \`cas\` is no version.`,
    hint: 'Give the version that was read, or 0 for a new secret; leave `cas` out to write in any case.',
    path: target.path,
  });
}

function written({ status, data }: KvAnswer, target: KvTarget): Required<KvWritten> {
  if (status === 204) {
    throw new VaultError({
      code: 'VAULT_REQUEST_INVALID',
      message: `The mount "${target.mount}" is not KV version 2: the server has stored the data as a secret at ${target.at('data')}.`,
      hint: 'Set `kvVersion: 1` for this call or connection, and delete that secret.',
      status,
      path: target.at('data'),
    });
  }
  const made = readVersion(data.reveal());
  if (!made) throw malformed(target.at('data'));
  return { version: made.version, createdAt: made.createdAt };
}

/** Whether data has the members of a merge patch. */
function has(data: unknown, patch: unknown): boolean {
  if (!isObject(patch)) return fingerprint(data) === fingerprint(patch);
  if (!isObject(data)) return false;
  return Object.entries(patch).every(([name, value]) =>
    value === null ? !Object.hasOwn(data, name) : Object.hasOwn(data, name) && has(data[name], value),
  );
}
