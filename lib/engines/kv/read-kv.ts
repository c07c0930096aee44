import { barePath, encodeMount, encodePath } from '../../client/path.js';
import { isObject } from '../../client/answer-members.js';
import { malformed } from '../../errors/common-errors.js';
import { VaultError } from '../../errors/vault-error.js';
import { Secret } from '../../secret/secret.js';

/**
 * Options for reading a KV secret.
 *
 * @publicApi
 */
export interface KvReadOptions {
  /** Mount path of the KV engine, with or without a slash at the end. @default 'secret' */
  mount?: string;
  /** Version to read (KV v2 only). @default the latest version */
  version?: number;
  /** Name of the connection. @default the connection without a name */
  connection?: string;
}

/**
 * A KV secret. Only KV v2 has the members beside `data`.
 *
 * @publicApi
 */
export interface KvSecret<T = Record<string, unknown>> {
  data: Secret<T>;
  version?: number;
  createdAt?: Date;
  /** The custom metadata of the secret. */
  metadata?: Readonly<Record<string, string>>;
}

/** Sends the read of one path, whose segments are encoded. */
export type KvReader = (request: {
  method: 'GET';
  path: string;
  query: Readonly<Record<string, number | undefined>>;
}) => Promise<{ data: Secret<unknown>; leaseDuration: number }>;

/** Reads one KV secret of either version. */
export async function readKv<T>(
  ask: KvReader,
  path: string,
  options: KvReadOptions & { kvVersion: 1 | 2 },
): Promise<KvSecret<T>> {
  const { mount = 'secret', version, kvVersion } = options;
  const base = encodeMount(mount);
  const ofMount = `${barePath(mount)}/data/`;
  if (typeof path === 'string' && barePath(path).startsWith(ofMount)) {
    throw new VaultError({
      code: 'VAULT_PATH_INVALID',
      message: `The path of a KV secret is relative to its mount, and "${path}" is not.`,
      hint: `Use "${barePath(path).slice(ofMount.length)}" with mount "${barePath(mount)}"; "data/" is added for KV v2.`,
      path,
    });
  }
  const key = encodePath(path, 'path');
  if (version !== undefined && (kvVersion === 1 || !Number.isInteger(version) || version < 1)) {
    throw new VaultError({
      code: 'VAULT_PATH_INVALID',
      message:
        kvVersion === 1
          ? 'KV version 1 has no versions to pin.'
          : 'A pinned version must be a whole number from 1.',
      hint: 'Correct `version`, or leave it out for the latest one.',
      path,
    });
  }
  const full = [base, ...(kvVersion === 2 ? ['data'] : []), key].join('/');
  let response: Awaited<ReturnType<KvReader>>;
  try {
    response = await ask({ method: 'GET', path: full, query: { version } });
  } catch (error) {
    throw version !== undefined && error instanceof VaultError && error.code === 'VAULT_SECRET_NOT_FOUND'
      ? new VaultError({
          code: error.code,
          message: `There is no version ${version} of ${mount}/${path}.`,
          hint: `Choose an existing version: vault kv metadata get -mount=${mount} ${path} lists them.`,
          status: 404,
          path: full,
        })
      : error;
  }
  const answer = response.data.reveal();
  if (!isObject(answer)) throw malformed(full);
  if (kvVersion === 2) return version2<T>(answer, mount, full);
  // KV v1 sends a lease_duration with every secret, unless the secret itself has a `ttl` or `lease`.
  const lasts = response.leaseDuration > 0 || 'ttl' in answer || 'lease' in answer;
  if (!lasts) throw malformed(full);
  return { data: response.data as Secret<T> };
}

function version2<T>(
  { data, metadata }: Readonly<Record<string, unknown>>,
  mount: string,
  path: string,
): KvSecret<T> {
  if (metadata === undefined) {
    throw new VaultError({
      code: 'VAULT_SECRET_NOT_FOUND',
      message: `The mount "${mount}" is not KV version 2.`,
      hint: 'Set `kvVersion: 1` for this connection, or name a mount of version 2.',
      path,
    });
  }
  if (!isObject(data) || !isObject(metadata)) throw malformed(path);
  const { version, created_time: created, custom_metadata: custom } = metadata;
  const createdAt = new Date(typeof created === 'string' ? created : NaN);
  const isComplete = Number.isSafeInteger(version) && (version as number) > 0 && !Number.isNaN(+createdAt);
  if (!isComplete || !isCustom(custom)) throw malformed(path);
  return {
    data: new Secret(data as T),
    version: version as number,
    createdAt,
    ...(custom && { metadata: custom }),
  };
}

function isCustom(custom: unknown): custom is Record<string, string> | null | undefined {
  if (custom === null || custom === undefined) return true;
  return isObject(custom) && Object.values(custom).every((value) => typeof value === 'string');
}
