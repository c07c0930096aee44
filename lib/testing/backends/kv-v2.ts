import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { goDuration } from '../server/duration.js';
import { collected, notFound, Refusal, WithoutBody, WrongKvPath } from '../server/refusal.js';
import { route } from '../server/route.js';
import { TypedFields } from '../server/typed-fields.js';
import { ignoredParameters } from './ignored-parameters.js';
import { mergePatch, withoutValues } from './json-merge-patch.js';
import { checkPatch, customMetadata, givenSettings, patchedMetadata } from './kv-metadata.js';
import { KvSecret, noSettings, type KvData, type KvServer, type KvSettings } from './kv-secret.js';
import { keysBelow } from './list-keys.js';

const SETTINGS = ['cas_required', 'max_versions', 'delete_version_after'];
/** The parameters of each path; others are ignored with a warning. */
const PARAMETERS: Record<string, readonly string[]> = {
  data: ['data', 'options', 'version'],
  subkeys: ['version', 'depth'],
  config: [...SETTINGS],
  metadata: [...SETTINGS, 'custom_metadata'],
  delete: ['versions'],
  undelete: ['versions'],
  destroy: ['versions'],
};
const OPENBAO: Record<string, readonly string[]> = {
  config: ['metadata_cas_required'],
  metadata: ['metadata_cas_required', 'metadata_cas', 'after', 'limit'],
  'detailed-metadata': ['after', 'limit'],
};
/** Paths that have no meaning without a name below them. */
const ROOTS = /^(?:data|metadata|delete|undelete|destroy)$/;
const COMMANDS = { read: 'get', list: 'list', update: 'put', patch: 'patch', delete: 'delete' };

/** The KV secrets engine, version 2. */
export class KvV2 implements Backend {
  readonly type = 'kv';
  readonly options = { version: '2' };
  readonly #server: KvServer;
  readonly #secrets = new Map<string, KvSecret>();
  readonly #config = noSettings();

  constructor(server: KvServer) {
    this.#server = server;
  }

  exists({ path }: Call): boolean {
    const [, secret] = /^(?:data|metadata)\/(.+)$/.exec(path) ?? [];
    return secret === undefined || this.#secrets.has(secret);
  }

  handle(call: Call): Maybe<Result | void> {
    const { operation } = call;
    // The server appends a slash to the path of a LIST.
    const path = operation === 'list' ? call.path.replace(/\/?$/, '/') : call.path;
    const [, kind = ''] = /^(config$|[^/]+(?=\/))/.exec(path) ?? [];
    if (!this.#hasPath(kind, path)) throw this.#wrongPath(call);
    return route(
      [
        [['read'], /^data\/(.*)$/, (_, name = '') => this.#read(call, name)],
        [['update'], /^data\/(.*)$/, (_, name = '') => this.#put(call, name)],
        [['patch'], /^data\/(.*)$/, (_, name = '') => this.#patch(call, name)],
        [['delete'], /^data\/(.*)$/, (_, name = '') => this.#deleteLatest(call, name)],
        [['update'], /^(delete|undelete|destroy)\/(.*)$/, (_, ...given) => this.#versions(call, ...given)],
        [['read'], /^subkeys\/(.*)$/, (_, name = '') => this.#subkeys(call, name)],
        [['list'], /^(?:detailed-)?metadata\/(.*)$/, (_, folder = '') => this.#list(call, folder, kind)],
        [['read'], /^metadata\/(.*)$/, (_, name = '') => this.#metadata(call, name)],
        [['update', 'patch'], /^metadata\/(.*)$/, (_, name = '') => this.#configure(call, name)],
        [['delete'], /^metadata\/(.*)$/, (_, name = '') => void this.#secrets.delete(trimmed(name))],
        [['read'], /^config$/, () => this.#answer(call, kind, this.#describeConfig())],
        [['update'], /^config$/, () => this.#setConfig(call)],
        // Known, without operations of its own.
        [[], /^(?:data|delete|undelete|destroy|subkeys|detailed-metadata|config)/, () => undefined],
      ],
      { ...call, path },
    );
  }

  #hasPath(kind: string, path: string): boolean {
    if (kind === 'detailed-metadata') return !this.#server.vault;
    if (kind === 'config') return path === kind;
    // HashiCorp Vault has no data below a path that ends in a slash.
    if (kind === 'data' && this.#server.vault) return !path.endsWith('/') || path === 'data/';
    return Object.hasOwn(PARAMETERS, kind);
  }

  /** Refuses paths that version 2 does not have, with the advice of the server. */
  #wrongPath({ path, operation }: Call): WrongKvPath {
    const [name, command] = this.#server.vault ? ['Vault', 'vault'] : ['OpenBao', 'bao'];
    if (ROOTS.test(path) && operation !== 'list')
      return new WrongKvPath(['Non-listing operations on the root of a K/V v2 mount are not supported.']);
    return new WrongKvPath([
      'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. ' +
        `If using the ${name} CLI, use '${command} kv ${COMMANDS[operation]}' for this operation.`,
    ]);
  }

  #get(name: string): KvSecret | undefined {
    return this.#secrets.get(trimmed(name));
  }

  #fields(call: Call, checkedLater = false): TypedFields {
    const query = call.operation === 'read' || call.operation === 'list';
    const values = query ? Object.fromEntries(call.query) : call.body;
    return new TypedFields(values, this.#server.vault, checkedLater);
  }

  #answer(call: Call, kind: string, data: object | null, warnings: string[] = []): Result {
    const known = [...(PARAMETERS[kind] ?? []), ...(this.#server.vault ? [] : (OPENBAO[kind] ?? []))];
    return { data, warnings: [...warnings, ...ignoredParameters(call, known)] };
  }

  #list(call: Call, folder: string, kind: string): Result {
    const fields = this.#fields(call);
    const limit = this.#server.vault ? 0 : fields.int('limit');
    const after = this.#server.vault ? '' : (call.query.get('after') ?? '');
    const keys = keysBelow(this.#secrets.keys(), folder, after).slice(0, limit > 0 ? limit : undefined);
    if (kind === 'metadata') return listed(this.#answer(call, kind, { keys }), keys);
    const about = keys.map((key) => [key, this.#get(folder + key)?.describe() ?? {}]);
    return listed(this.#answer(call, kind, { key_info: Object.fromEntries(about) as object, keys }), keys);
  }

  #read(call: Call, name: string): Result {
    const { data, gone, metadata } = this.#find(call, name);
    return gone ? { status: 404, data: { data, metadata } } : this.#answer(call, 'data', { data, metadata });
  }

  #subkeys(call: Call, name: string): Result {
    const depth = this.#fields(call).int('depth');
    const { data, gone, metadata } = this.#find(call, name);
    const subkeys = data && withoutValues(data, depth);
    return gone
      ? { status: 404, data: { metadata, subkeys } }
      : this.#answer(call, 'subkeys', { metadata, subkeys });
  }

  #find(call: Call, name: string): { data: KvData | null; gone: boolean; metadata: object } {
    const requested = this.#fields(call).int('version');
    const secret = this.#get(name);
    const version = secret?.find(requested);
    if (!secret || !version) throw notFound();
    const { number, gone, data } = version;
    if (!gone && name.endsWith('/')) throw new Refusal(500, collected('could not find version data'));
    return { gone, data: gone ? null : data, metadata: secret.describeVersion(number) };
  }

  #put(call: Call, name: string): Result {
    const fields = this.#fields(call, true);
    const data = fields.map('data');
    fields.int('version');
    if (!fields.has('data')) throw new Refusal(400, 'no data provided');
    const known = this.#get(name);
    this.#checkAndSet(known, fields);
    const secret = known ?? new KvSecret(this.#server, this.#config);
    this.#secrets.set(name, secret);
    return this.#write(secret, data, call);
  }

  #patch(call: Call, name: string): Result {
    const fields = this.#fields(call);
    const patch = fields.map('data');
    if (!fields.has('data')) throw new Refusal(400, 'no data provided');
    const secret = this.#get(name);
    if (!secret) throw new WithoutBody(404);
    this.#checkAndSet(secret, fields);
    const version = secret.find();
    if (!version) throw new WithoutBody(404);
    if (version.gone) return { status: 404, data: secret.describeVersion(version.number) };
    if (version.data === null) throw new Refusal(500, collected('resource does not exist'));
    return this.#write(secret, mergePatch(version.data, patch) as KvData | null, call);
  }

  #checkAndSet(secret: KvSecret | undefined, fields: TypedFields): void {
    const options = fields.map('options') ?? {};
    if (!('cas' in options)) {
      if (!secret?.settings.casRequired && !this.#config.casRequired) return;
      throw new Refusal(400, 'check-and-set parameter required for this call');
    }
    let cas: number;
    try {
      cas = new TypedFields(options, this.#server.vault).int('cas');
    } catch {
      throw new Refusal(400, 'error parsing check-and-set parameter');
    }
    if (cas !== (secret?.current ?? 0))
      throw new Refusal(400, 'check-and-set parameter did not match the current version');
  }

  #write(secret: KvSecret, data: KvData | null, call: Call): Result {
    secret.add(data, call);
    return this.#answer(call, 'data', secret.describeVersion(secret.current));
  }

  #deleteLatest(call: Call, name: string): void {
    const secret = this.#get(name);
    secret?.delete([secret.current], call);
  }

  #versions(call: Call, kind = '', name = ''): void {
    const numbers = this.#fields(call).ints('versions');
    if (numbers.length === 0)
      throw new Refusal(400, `${kind === 'destroy' ? 'no' : 'No'} version number provided`);
    this.#get(name)?.[kind as 'delete' | 'undelete' | 'destroy'](numbers, call);
  }

  #metadata(call: Call, name: string): Result {
    const secret = this.#get(name);
    if (!secret) throw notFound();
    return this.#answer(call, 'metadata', secret.describe());
  }

  #configure(call: Call, name: string): Result | void {
    const { vault } = this.#server;
    const patch = call.operation === 'patch';
    const fields = this.#fields(call, !patch);
    const settings = givenSettings(fields, vault);
    fields.map('custom_metadata');
    const cas = vault || !fields.has('metadata_cas') ? undefined : fields.int('metadata_cas');
    const nothing = Object.keys(settings).length === 0 && !fields.has('custom_metadata');
    if (nothing && !(patch && vault)) return;
    const known = this.#get(name);
    const custom = patch ? patchedMetadata(known?.customMetadata ?? {}, fields) : customMetadata(fields);
    if (patch && !known) throw new WithoutBody(404);
    if (patch) checkPatch(fields);
    this.#checkMetadata(known, cas);
    const secret = known ?? new KvSecret(this.#server, this.#config);
    this.#secrets.set(name, secret);
    Object.assign(secret.settings, settings);
    if (custom) secret.customMetadata = custom;
    secret.metadataVersion++;
    if (settings.casRequired !== false || !this.#config.casRequired) return;
    return this.#answer(call, 'metadata', null, [
      '"cas_required" set to false, but is mandated by backend config. This value will be ignored.',
    ]);
  }

  #checkMetadata(secret: KvSecret | undefined, cas: number | undefined): void {
    if (cas === undefined) {
      if (!secret?.settings.metadataCasRequired && !this.#config.metadataCasRequired) return;
      throw new Refusal(400, 'metadata check-and-set parameter required for this call');
    }
    if (!secret && cas !== 0) throw new Refusal(400, 'metadata_cas must be 0 when creating new metadata');
    if (cas !== (secret?.metadataVersion ?? 0))
      throw new Refusal(400, 'metadata check-and-set parameter does not match the current version');
  }

  #setConfig(call: Call): void {
    Object.assign(this.#config, givenSettings(this.#fields(call), this.#server.vault, { mount: true }));
  }

  #describeConfig(): object {
    const { casRequired, maxVersions, deleteVersionAfter, metadataCasRequired }: KvSettings = this.#config;
    return {
      cas_required: casRequired,
      delete_version_after: goDuration(deleteVersionAfter),
      max_versions: maxVersions,
      ...(!this.#server.vault && { metadata_cas_required: metadataCasRequired }),
    };
  }
}

/** Reads find a secret also by its name with a slash. */
const trimmed = (name: string): string => name.replace(/\/$/, '');

/** A list of nothing is no answer, except where there are warnings. */
function listed(result: Result, keys: readonly string[]): Result {
  if (keys.length > 0) return result;
  if (!result.warnings?.length) throw notFound();
  return { ...result, data: {} };
}
