import { isObject } from '../../client/answer-members.js';
import { isVersion } from '../../client/answer.js';
import { malformed } from '../../errors/common-errors.js';
import { unknownOptions } from '../../errors/unknown-options.js';
import { VaultError } from '../../errors/vault-error.js';
import { isCustom, isTime, readVersion, timeOf } from './kv-answers.js';
import { KV_CALLS } from './kv-calls.js';
import type { KvRequests } from './kv-requests.js';
import { requireVersion2, type KvTarget } from './kv-target.js';
import { assertPinned, named } from './read-kv.js';

/**
 * The settings of a KV secret. Members that are left out stay as they are.
 *
 * @publicApi
 */
export interface KvMetadataSettings {
  /** Replaces all custom metadata; `{}` removes it. It is no place for secrets. */
  customMetadata?: Readonly<Record<string, string>>;
  /** Whether each write must have `cas`. */
  casRequired?: boolean;
  /** Time after which a version is deleted, in the server's notation (`'720h'`); `'0s'`: that of the mount. */
  deleteVersionAfter?: string;
  /** Number of versions that the server keeps; 0: that of the mount. */
  maxVersions?: number;
}

/**
 * One version of a KV secret.
 *
 * @publicApi
 */
export interface KvVersion {
  version: number;
  createdAt: Date;
  /** When it was deleted, or will be (`deleteVersionAfter`). */
  deletedAt?: Date;
  destroyed: boolean;
}

/**
 * The metadata of a KV secret, without its data.
 *
 * @publicApi
 */
export interface KvMetadata extends Required<KvMetadataSettings> {
  createdAt: Date;
  updatedAt: Date;
  /** 0 if no version was written yet. */
  currentVersion: number;
  /** The versions that the server keeps, oldest first. */
  versions: readonly KvVersion[];
}

/**
 * The keys of a KV secret, without its values.
 *
 * @publicApi
 */
export interface KvSubkeys {
  /** Each key with `null` in place of its value, or with the keys of the object that is its value. */
  keys: Readonly<Record<string, unknown>>;
  version: number;
  createdAt: Date;
  /** The custom metadata of the secret. */
  metadata?: Readonly<Record<string, string>>;
}

/** Reads the metadata of a secret. */
export async function metadataOf(requests: KvRequests, target: KvTarget): Promise<KvMetadata> {
  requireVersion2(target, 'metadata');
  const { data } = await requests.send(KV_CALLS.metadata, target);
  const metadata = readMetadata(data.reveal());
  if (!metadata) throw malformed(target.at('metadata'));
  return metadata;
}

/** Writes the settings of a secret; creates the secret without a version if there is none. */
export async function writeMetadata(
  requests: KvRequests,
  target: KvTarget,
  settings: KvMetadataSettings,
): Promise<void> {
  requireVersion2(target, 'writeMetadata');
  assertSettings(settings, target);
  const { customMetadata, casRequired, deleteVersionAfter, maxVersions } = settings;
  await requests.send(KV_CALLS.writeMetadata, target, {
    body: {
      custom_metadata: customMetadata,
      cas_required: casRequired,
      delete_version_after: deleteVersionAfter,
      max_versions: maxVersions,
    },
  });
}

/** Removes a secret with all its versions and its metadata. */
export async function deleteMetadata(requests: KvRequests, target: KvTarget): Promise<void> {
  requireVersion2(target, 'deleteMetadata');
  await requests.send(KV_CALLS.deleteMetadata, target);
}

/** Reads the keys of a secret. */
export async function subkeysOf(
  requests: KvRequests,
  target: KvTarget,
  { version, depth }: { version?: number; depth?: number },
): Promise<KvSubkeys> {
  requireVersion2(target, 'subkeys');
  assertPinned(target, version);
  const path = target.at('subkeys');
  const request = requests.send(KV_CALLS.subkeys, target, { query: { version, depth } });
  const answer = (await named(request, target, path, version)).data.reveal();
  const read = isObject(answer) ? readVersion(answer['metadata']) : undefined;
  const keys = isObject(answer) ? answer['subkeys'] : undefined;
  if (!read || !isKeys(keys)) throw malformed(path);
  return { keys, ...read };
}

/** Keys without values. A value in their place would be shown, as keys are no secret. */
function isKeys(keys: unknown): keys is Readonly<Record<string, unknown>> {
  return isObject(keys) && Object.values(keys).every((below) => below === null || isKeys(below));
}

function readMetadata(answer: unknown): KvMetadata | undefined {
  if (!isObject(answer)) return undefined;
  const { current_version: currentVersion, custom_metadata: custom = null, versions = null } = answer;
  const { cas_required: casRequired, max_versions: maxVersions } = answer;
  const deleteVersionAfter = answer['delete_version_after'];
  const createdAt = timeOf(answer['created_time']);
  const updatedAt = timeOf(answer['updated_time']);
  const all = Object.entries(versions ?? {}).map(([number, one]) => versionOf(Number(number), one));
  const customMetadata = custom ?? {};
  return isTime(createdAt) &&
    isTime(updatedAt) &&
    isCount(currentVersion) &&
    isCount(maxVersions) &&
    typeof casRequired === 'boolean' &&
    typeof deleteVersionAfter === 'string' &&
    isCustom(customMetadata) &&
    (versions === null || isObject(versions)) &&
    all.every((one) => one !== undefined)
    ? {
        createdAt,
        updatedAt,
        currentVersion,
        maxVersions,
        casRequired,
        deleteVersionAfter,
        customMetadata,
        versions: all,
      }
    : undefined;
}

function versionOf(version: number, answer: unknown): KvVersion | undefined {
  if (!isVersion(version) || !isObject(answer)) return undefined;
  const { created_time: created, deletion_time: deleted = '', destroyed } = answer;
  const createdAt = timeOf(created);
  const deletedAt = deleted === '' ? undefined : timeOf(deleted);
  if (!isTime(createdAt) || (deletedAt && !isTime(deletedAt)) || typeof destroyed !== 'boolean')
    return undefined;
  return { version, createdAt, ...(deletedAt && { deletedAt }), destroyed };
}

function isCount(value: unknown): value is number {
  return value === 0 || isVersion(value);
}

const SETTINGS: Readonly<Record<keyof KvMetadataSettings, (value: unknown) => boolean>> = {
  // Servers store numbers and objects, too, but as texts.
  customMetadata: isCustom,
  casRequired: (value) => typeof value === 'boolean',
  deleteVersionAfter: (value) => typeof value === 'string',
  maxVersions: isCount,
};

/** Names the invalid settings. Their values are not shown. */
function assertSettings(settings: KvMetadataSettings, { full, path }: KvTarget): void {
  const given: Readonly<Record<string, unknown>> = isObject(settings) ? settings : {};
  const names = Object.keys(SETTINGS) as (keyof KvMetadataSettings)[];
  const invalid = names.filter((name) => given[name] !== undefined && !SETTINGS[name](given[name]));
  const problems = [
    ...unknownOptions('writeMetadata', given, names),
    ...invalid.map((name) => `\`${name}\` is invalid`),
    ...(names.every((name) => given[name] === undefined) ? ['there is no setting'] : []),
  ];
  if (problems.length === 0) return;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The metadata of ${full} was not written: ${problems.join('; ')}.`,
    hint:
      '`customMetadata` is an object of texts, `casRequired` true or false, `deleteVersionAfter` a text such as "720h", ' +
      '`maxVersions` a whole number.',
    path,
  });
}
