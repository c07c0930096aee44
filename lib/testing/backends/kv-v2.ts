import type { Backend, Call, Maybe, Result } from '../server/model.js';
import type { ServerContext } from '../server/server-context.js';
import { goDuration } from '../server/duration.js';
import { mergePatch, withoutValues } from './json-merge-patch.js';
import { listKeys } from './list-keys.js';
import { secondsField } from '../server/ttl.js';
import { EmptyNotFound, notFound, Refusal, WrongKvPath } from '../server/refusal.js';
import { route } from '../server/route.js';

/** Parts of the server that this engine uses. */
type Server = Pick<ServerContext, 'time' | 'vault'>;

interface Version {
  /** Milliseconds of the server. */
  created: number;
  deleted: number;
  destroyed: boolean;
  data: Record<string, unknown> | null;
}

interface Secret {
  created: number;
  updated: number;
  casRequired: boolean;
  maxVersions: number;
  /** Seconds. */
  deleteVersionAfter: number;
  customMetadata: Record<string, string> | null;
  current: number;
  metadataVersion: number;
  oldest: number;
  versions: Map<number, Version>;
}

const DEFAULT_MAX_VERSIONS = 10;

/** The KV secrets engine, version 2. */
export class KvV2 implements Backend {
  readonly type = 'kv';
  readonly options = { version: '2' };
  readonly #server: Server;
  readonly #secrets = new Map<string, Secret>();
  #config = { casRequired: false, maxVersions: 0, deleteVersionAfter: 0 };

  constructor(server: Server) {
    this.#server = server;
  }

  exists({ path }: Call): boolean {
    const [, secret] = /^(?:data|metadata)\/(.+)$/.exec(path) ?? [];
    return secret === undefined || this.#secrets.has(secret);
  }

  handle(call: Call): Maybe<Result | void> {
    if (call.operation === 'read' && !/^((data|metadata|subkeys)\/.|config$)/.test(call.path))
      this.#wrongPath();
    const secret = (path: string) => this.#secrets.get(path);
    return route(
      [
        [['read'], /^data\/(.+)$/, (_, path = '') => this.#read(call, path)],
        [['update'], /^data\/(.+)$/, (_, path = '') => this.#put(call, path)],
        [['patch'], /^data\/(.+)$/, (_, path = '') => this.#patch(call, path)],
        [['delete'], /^data\/(.+)$/, (_, path = '') => this.#delete(path, [secret(path)?.current ?? 0])],
        [['update'], /^delete\/(.+)$/, (_, path = '') => this.#delete(path, versions(call))],
        [['update'], /^undelete\/(.+)$/, (_, path = '') => this.#undelete(path, versions(call))],
        [['update'], /^destroy\/(.+)$/, (_, path = '') => this.#destroy(path, versions(call))],
        [['read'], /^subkeys\/(.+)$/, (_, path = '') => this.#subkeys(call, path)],
        [['list'], /^metadata(?:\/(.*))?$/, (_, folder = '') => ({ data: { keys: this.#list(folder) } })],
        [['read'], /^metadata\/(.+)$/, (_, path = '') => ({ data: this.#metadata(path) })],
        [['update'], /^metadata\/(.+)$/, (_, path = '') => this.#configure(call, path)],
        [['patch'], /^metadata\/(.+)$/, (_, path = '') => this.#patchMetadata(call, path)],
        [['delete'], /^metadata\/(.+)$/, (_, path = '') => void this.#secrets.delete(path)],
        [['read'], /^config$/, () => ({ data: this.#describeConfig() })],
        [['update'], /^config$/, () => this.#setConfig(call)],
      ],
      call,
    );
  }

  /** Refuses paths that version 2 does not have, with the advice of the server. */
  #wrongPath(): never {
    const cli = this.#server.vault ? `Vault CLI, use 'vault kv get'` : `OpenBao CLI, use 'bao kv get'`;
    throw new WrongKvPath([
      'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. ' +
        `If using the ${cli} for this operation.`,
    ]);
  }

  #list(folder: string): string[] {
    return listKeys(this.#secrets.keys(), folder);
  }

  #read({ query }: Call, path: string): Result {
    const { version, number, secret } = this.#find(path, query);
    const gone = this.#isGone(version);
    return {
      ...(gone && { status: 404 }),
      data: { data: gone ? null : version.data, metadata: this.#describe(secret, version, number) },
    };
  }

  #subkeys({ query }: Call, path: string): Result {
    const { version, number, secret } = this.#find(path, query);
    const gone = this.#isGone(version);
    return {
      ...(gone && { status: 404 }),
      data: {
        metadata: this.#describe(secret, version, number),
        subkeys: gone ? null : withoutValues(version.data ?? {}),
      },
    };
  }

  #find(path: string, query: URLSearchParams) {
    const requested = query.get('version') ?? '0';
    if (!/^-?\d+$/.test(requested)) throw this.#invalidVersion(requested);
    const secret = this.#secrets.get(path);
    const number = Number(requested) > 0 ? Number(requested) : (secret?.current ?? 0);
    const version = secret?.versions.get(number);
    if (!secret || !version) throw notFound();
    return { secret, version, number };
  }

  #invalidVersion(requested: string): Refusal {
    const why = this.#server.vault
      ? `cannot parse '' as int: strconv.ParseInt: parsing "${requested}": invalid syntax`
      : `'' cannot parse value as 'int': strconv.ParseInt: invalid syntax`;
    return new Refusal(400, `Field validation failed: error converting input for field "version": ${why}`);
  }

  #put({ body }: Call, path: string): Result {
    if (!('data' in body)) throw new Refusal(400, 'no data provided');
    const known = this.#secrets.get(path);
    this.#checkAndSet(known, body);
    return this.#write(path, known, body['data'] as Record<string, unknown> | null);
  }

  #checkAndSet(secret: Secret | undefined, body: Record<string, unknown>): void {
    const { cas } = (body['options'] ?? {}) as { cas?: number };
    if (cas === undefined && (secret?.casRequired || this.#config.casRequired))
      throw new Refusal(400, 'check-and-set parameter required for this call');
    if (cas !== undefined && Number(cas) !== (secret?.current ?? 0))
      throw new Refusal(400, 'check-and-set parameter did not match the current version');
  }

  #patch({ body, contentType }: Call, path: string): Result {
    if (!contentType.startsWith('application/merge-patch+json')) {
      throw new Refusal(
        415,
        `PATCH requires Content-Type of application/merge-patch+json, provided ${contentType}`,
      );
    }
    if (!('data' in body)) throw new Refusal(400, 'no data provided');
    const known = this.#secrets.get(path);
    const version = known?.versions.get(known.current);
    if (!known || !version || this.#isGone(version)) throw new EmptyNotFound();
    this.#checkAndSet(known, body);
    return this.#write(path, known, mergePatch(version.data ?? {}, body['data']) as Record<string, unknown>);
  }

  #write(path: string, known: Secret | undefined, data: Record<string, unknown> | null): Result {
    const { now } = this.#server.time;
    const secret = known ?? this.#create(path);
    const after = secret.deleteVersionAfter || this.#config.deleteVersionAfter;
    const version = { created: now, deleted: after ? now + after * 1000 : 0, destroyed: false, data };
    const number = ++secret.current;
    secret.versions.set(number, version);
    secret.updated = now;
    const kept = secret.maxVersions || this.#config.maxVersions || DEFAULT_MAX_VERSIONS;
    for (const old of secret.versions.keys()) {
      if (old > number - kept) break;
      secret.versions.delete(old);
      secret.oldest = old + 1;
    }
    return { data: this.#describe(secret, version, number) };
  }

  #create(path: string): Secret {
    const { now } = this.#server.time;
    const secret: Secret = {
      created: now,
      updated: now,
      casRequired: false,
      maxVersions: 0,
      deleteVersionAfter: 0,
      customMetadata: null,
      current: 0,
      metadataVersion: 0,
      oldest: 0,
      versions: new Map(),
    };
    this.#secrets.set(path, secret);
    return secret;
  }

  #delete(path: string, numbers: number[]): void {
    for (const version of this.#versions(path, numbers))
      if (!this.#isGone(version)) version.deleted = this.#server.time.now;
  }

  #undelete(path: string, numbers: number[]): void {
    for (const version of this.#versions(path, numbers)) version.deleted = 0;
  }

  #destroy(path: string, numbers: number[]): void {
    for (const version of this.#versions(path, numbers)) {
      version.destroyed = true;
      version.data = null;
    }
  }

  #versions(path: string, numbers: number[]): Version[] {
    if (numbers.length === 0) throw new Refusal(400, 'no version number provided');
    const secret = this.#secrets.get(path);
    return numbers.map((number) => secret?.versions.get(number)).filter((version) => version !== undefined);
  }

  #isGone({ deleted, destroyed }: Version): boolean {
    return destroyed || (deleted > 0 && deleted <= this.#server.time.now);
  }

  #describe(secret: Secret, version: Version, number: number): object {
    return {
      created_time: this.#server.time.date(version.created),
      custom_metadata: secret.customMetadata,
      deletion_time: version.deleted ? this.#server.time.date(version.deleted) : '',
      destroyed: version.destroyed,
      version: number,
    };
  }

  #metadata(path: string): object {
    const secret = this.#secrets.get(path);
    if (!secret) throw notFound();
    const date = (time: number) => this.#server.time.date(time);
    return {
      cas_required: secret.casRequired,
      created_time: date(secret.created),
      ...(!this.#server.vault && { current_metadata_version: secret.metadataVersion }),
      current_version: secret.current,
      custom_metadata: secret.customMetadata,
      delete_version_after: goDuration(secret.deleteVersionAfter),
      max_versions: secret.maxVersions,
      ...(!this.#server.vault && { metadata_cas_required: false }),
      oldest_version: secret.oldest,
      updated_time: date(secret.updated),
      versions: Object.fromEntries(
        [...secret.versions].map(([number, version]) => [
          number,
          {
            created_time: date(version.created),
            deletion_time: version.deleted ? date(version.deleted) : '',
            destroyed: version.destroyed,
          },
        ]),
      ),
    };
  }

  #configure({ body }: Call, path: string): void {
    const deleteVersionAfter = secondsField(body, 'delete_version_after');
    const secret = this.#secrets.get(path) ?? this.#create(path);
    if ('cas_required' in body) secret.casRequired = body['cas_required'] === true;
    if ('max_versions' in body) secret.maxVersions = Number(body['max_versions']);
    if ('delete_version_after' in body) secret.deleteVersionAfter = deleteVersionAfter;
    if ('custom_metadata' in body) secret.customMetadata = body['custom_metadata'] as Record<string, string>;
    secret.metadataVersion++;
    secret.updated = this.#server.time.now;
  }

  #patchMetadata(call: Call, path: string): void {
    const secret = this.#secrets.get(path);
    if (!secret) throw new EmptyNotFound();
    const custom = mergePatch(secret.customMetadata ?? {}, call.body['custom_metadata'] ?? {});
    this.#configure({ ...call, body: { ...call.body, custom_metadata: custom } }, path);
  }

  #setConfig({ body }: Call): void {
    const deleteVersionAfter = secondsField(body, 'delete_version_after');
    if ('cas_required' in body) this.#config.casRequired = body['cas_required'] === true;
    if ('max_versions' in body) this.#config.maxVersions = Number(body['max_versions']);
    if ('delete_version_after' in body) this.#config.deleteVersionAfter = deleteVersionAfter;
  }

  #describeConfig(): object {
    const { casRequired, maxVersions, deleteVersionAfter } = this.#config;
    return {
      cas_required: casRequired,
      delete_version_after: goDuration(deleteVersionAfter),
      max_versions: maxVersions,
      ...(!this.#server.vault && { metadata_cas_required: false }),
    };
  }
}

function versions({ body }: Call): number[] {
  const given = body['versions'];
  return (Array.isArray(given) ? given : given === undefined ? [] : [given]).map(Number);
}
