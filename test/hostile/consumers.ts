import { RefusedLogins } from '../../lib/auth/refused-logins.js';
import { prepareLogin } from '../../lib/auth/run-login.js';
import { inspect } from 'node:util';
import { firstValueFrom, type Observable } from 'rxjs';
import { expect } from 'vitest';
import { ApiClient } from '../../lib/client/api-client.js';
import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.types.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import type { KvSecret } from '../../lib/engines/kv/read-kv.js';
import type { KvWritten } from '../../lib/engines/kv/write-kv.js';
import { VaultError } from '../../lib/errors/vault-error.js';
import { EventBus, type VaultEvent } from '../../lib/events/events.js';
import { appRole, fromWrappedToken, token } from '../../lib/index.js';
import { VirtualClock } from '../../lib/testing/index.js';
import { CANARY, ok, type Answer } from './answers.js';

const TOKEN = 'hvs.canary-of-the-token';
const SECRET_ID = 'canary-of-the-secret-id';
const SECRETS = [CANARY, TOKEN, SECRET_ID];
/** An error: two parts of 8 KB each and their code. */
const LONGEST = 17_000;

const auth = { client_token: TOKEN, accessor: 'a', lease_duration: 3_600, renewable: true, num_uses: 0 };
const wrapped = { creation_path: 'auth/approle/role/app/secret-id', creation_ttl: 60 };
const metadata = { version: 1, created_time: '2026-01-01T00:00:00Z', custom_metadata: { owner: 'team' } };

const KEYS = { keys: ['one', 'two/'] };
const SETTINGS = {
  cas_required: false,
  created_time: metadata.created_time,
  current_version: 1,
  custom_metadata: metadata.custom_metadata,
  delete_version_after: '0s',
  max_versions: 0,
  oldest_version: 0,
  updated_time: metadata.created_time,
  versions: { 1: { created_time: metadata.created_time, deletion_time: '', destroyed: false } },
};

/** A server with correct answers for all requests except those to one path, or of one method to it. */
export class Server implements Sender {
  readonly good: Record<string, object> = {
    'auth/approle/login': { auth },
    'auth/token/lookup-self': {
      data: { ttl: 3_600, expire_time: 'x', renewable: true, accessor: 'a', num_uses: 0 },
    },
    'auth/token/renew-self': { auth },
    'auth/token/revoke-self': {},
    'auth/token/create': { auth },
    'sys/wrapping/lookup': { data: wrapped },
    'sys/wrapping/unwrap': { data: { secret_id: SECRET_ID } },
    'sys/leases/lookup': { data: { id: 'x' } },
    'secret/data/app': { data: { data: { password: CANARY }, metadata } },
    'POST secret/data/app': { data: metadata },
    'PATCH secret/data/app': { data: metadata },
    'secret/metadata/app': { data: KEYS },
    'GET secret/metadata/app': { data: SETTINGS },
    'secret/subkeys/app': { data: { subkeys: { password: null, inner: { list: null } }, metadata } },
    'secret/metadata/folder': { data: KEYS },
    'secret/data/folder/one': { data: { data: { password: CANARY }, metadata } },
    'pki/ca/pem': {},
    'pki/ca': {},
    'wrapped/path': {
      wrap_info: { token: TOKEN, accessor: 'a', ttl: 60, creation_time: 'x', creation_path: 'wrapped/path' },
    },
    'sys/health': { initialized: true, sealed: false, standby: false },
    'kv1/app': { data: { password: CANARY }, lease_duration: 2_764_800 },
    'any/path': { data: { value: CANARY, inner: { list: [1, CANARY] } } },
    'database/creds/app': {
      lease_id: 'database/creds/app/id',
      lease_duration: 60,
      renewable: true,
      data: { username: 'v-app', password: CANARY },
    },
    'database/static-creds/app': {
      data: { username: 'app', password: CANARY, ttl: 60, rotation_period: 86_400, last_vault_rotation: 'x' },
    },
    'pki/issue/app': {
      data: { certificate: 'pem', private_key: CANARY, expiration: 2e9, serial_number: '1' },
    },
  };
  hostile: { path: string; answer: Answer; once?: boolean } | undefined;
  readonly asked: TransportRequest[] = [];
  answered = 0;

  send(request: TransportRequest): Promise<TransportResponse> {
    this.asked.push(request);
    const path = request.path.slice('/v1/'.length).split('?', 1)[0] as string;
    const { hostile } = this;
    const meant = hostile?.path === path || hostile?.path === `${request.method} ${path}`;
    if (meant && hostile.once) this.hostile = undefined;
    const answer = meant ? hostile.answer : ok(this.#answer(path, request));
    return Promise.resolve({ ...answer, address: 'http://vault.test' });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** @param path with its method or without */
  goodAnswer(path: string): object {
    return this.good[path] ?? this.good[path.replace(/^[A-Z]+ /, '')] ?? {};
  }

  #answer(path: string, { method, body }: TransportRequest): object {
    if (path === 'sys/leases/renew') {
      const { lease_id } = JSON.parse(body ?? '{}') as { lease_id: string };
      return { lease_id, lease_duration: 60, renewable: true };
    }
    const good = this.goodAnswer(`${method} ${path}`);
    // The same answer twice would look like a cache.
    const number = ++this.answered;
    if ('lease_id' in good) return { ...good, lease_id: `${path}/${number}` };
    if ('auth' in good) return { ...good, auth: { ...auth, client_token: `${TOKEN}-${number}` } };
    return good;
  }
}

/** A connection to such a server, and all readers of its answer. */
export class World {
  readonly clock = new VirtualClock();
  readonly server = new Server();
  readonly events: VaultEvent[] = [];
  readonly connection: VaultConnection;
  readonly #api: ApiClient;

  constructor() {
    const options = resolveOptions({
      address: 'http://vault.test',
      auth: appRole({ roleId: 'app', secretId: SECRET_ID }),
      startup: { timeout: 0 },
      // Also the time for repeated requests: each would parse a hostile answer of megabytes again.
      timeout: 1_000,
    });
    const bus = new EventBus();
    bus.events$.subscribe((event) => void this.events.push(event));
    this.connection = new VaultConnection(options, bus, this.clock, this.server);
    this.#api = new ApiClient(options, this.clock, this.server);
  }

  async start(): Promise<this> {
    await this.clock.until(this.connection.login());
    // Within the replication lag of two seconds, a refusal of a new token is checked twice.
    await this.clock.advance(3_000);
    return this;
  }

  /**
   * Consumers by kind of answer: the path, maybe with a method, and the call. `shows`: names, which are not secret.
   * `watches`: it asks until the answer is good.
   */
  readonly consumers: Record<
    string,
    { path: string; ask: () => Promise<unknown>; shows?: boolean; leased?: boolean; watches?: boolean }
  > = {
    login: {
      path: 'auth/approle/login',
      ask: () => this.#login(appRole({ roleId: 'app', secretId: SECRET_ID })),
    },
    'look-up of a given token': { path: 'auth/token/lookup-self', ask: () => this.#login(token(TOKEN)) },
    'look-up of a wrapping token': { path: 'sys/wrapping/lookup', ask: () => this.#unwrap() },
    unwrap: { path: 'sys/wrapping/unwrap', ask: () => this.#unwrap() },
    read: { path: 'any/path', ask: () => this.connection.client.read('any/path') },
    'read as text': {
      path: 'pki/ca/pem',
      ask: () => this.connection.client.read('pki/ca/pem', { responseType: 'text' }),
    },
    'read as bytes': {
      path: 'pki/ca',
      ask: () => this.connection.client.read('pki/ca', { responseType: 'bytes' }),
    },
    'wrapped read': { path: 'wrapped/path', ask: () => this.#wrapped() },
    health: { path: 'sys/health', ask: () => this.connection.client.read('sys/health') },
    list: {
      path: 'secret/metadata/app',
      ask: () => this.connection.client.list('secret/metadata/app'),
      shows: true,
    },
    'token/create': {
      path: 'auth/token/create',
      ask: () => this.connection.client.write('auth/token/create', {}),
    },
    'KV v2': { path: 'secret/data/app', ask: () => this.#readKv('app', 'secret', 2) },
    'KV v1': { path: 'kv1/app', ask: () => this.#readKv('app', 'kv1', 1) },
    ...this.#kvCalls(),
    issue: { path: 'database/creds/app', ask: () => this.#issue('database/creds/app'), leased: true },
    'static role': {
      path: 'database/static-creds/app',
      ask: () => this.#issue('database/static-creds/app'),
      leased: true,
    },
    certificate: { path: 'pki/issue/app', ask: () => this.#issue('pki/issue/app'), leased: true },
  };

  /** Gives one answer to one consumer: throws if an invariant does not hold. */
  async meet(name: string, answer: Answer): Promise<void> {
    const {
      path,
      ask,
      shows,
      leased,
      watches = false,
    } = this.consumers[name] as (typeof this.consumers)[string];
    this.server.hostile = { path, answer, once: watches };
    this.events.length = 0;
    this.server.asked.length = 0;
    // A read waits for a standby that lacks a write, if an answer before had an index.
    const { value, error } = await this.clock.until(ask()).then(
      (result) => ({ value: result, error: undefined }),
      (thrown: unknown) => ({ value: undefined, error: thrown }),
    );
    this.server.hostile = undefined;
    // A permanent refusal of a lease is repeated for half a second.
    if (leased) await this.clock.advance(1_000);
    if (error === undefined) expectHidden(value, shows);
    else expectFit(error);
    for (const event of this.events) if ('error' in event && event.error) expectFit(event.error);
    if (this.events.length > 0) {
      expectHidden(this.events);
      expectHidden(this.connection.status);
    }
    // At most a part of the answer is sent back.
    for (const { headers } of this.server.asked) expect(JSON.stringify(headers).length).toBeLessThan(20_000);
  }

  #login(method: ReturnType<typeof appRole>): Promise<unknown> {
    const send = this.#api.send.bind(this.#api);
    const warned: string[] = [];
    const warn = (text: string) => void warned.push(text);
    const parts = {
      send,
      warn,
      notice: warn,
      reading: () => undefined,
      clientCertificate: () => Promise.resolve(''),
      onUnused: () => undefined,
      clock: this.clock,
      signal: new AbortController().signal,
      refused: new RefusedLogins(this.clock),
    };
    return prepareLogin(parts)
      .run(method)
      .then((login) => {
        expect(Number.isFinite(login.ttl) && Number.isFinite(login.uses)).toBe(true);
        expect(typeof login.renewable).toBe('boolean');
        return [login.token, warned];
      });
  }

  async #wrapped(): Promise<unknown> {
    const headers = { 'x-vault-wrap-ttl': '60s' };
    const answer = await this.connection.client.read('wrapped/path', { headers });
    const { token: wrapping, ttl = 0 } = answer.wrapInfo ?? {};
    expect(Number.isFinite(ttl)).toBe(true);
    if (wrapping) expect(wrapping.reveal()).toMatch(/^[\x21-\x7e]{1,8192}$/);
    // Creation path and accessor are names.
    return [answer.data, answer.warnings, wrapping];
  }

  #unwrap(): Promise<unknown> {
    return this.#login(appRole({ roleId: 'app', secretId: fromWrappedToken('hvs.wrapping') }));
  }

  async #readKv(path: string, mount: string, kvVersion: 1 | 2): Promise<unknown> {
    const secret = await this.connection.secrets.read(path, { mount, kvVersion }, 0);
    expect(typeof secret.data.reveal()).toBe('object');
    if (kvVersion === 2) expect(secret.version).toEqual(expect.any(Number));
    if (secret.createdAt) expect(JSON.stringify(secret.createdAt)).not.toBe('null');
    // Custom metadata is no secret.
    return [secret.data, secret.version];
  }

  /** All calls of KV besides reads. */
  #kvCalls(): World['consumers'] {
    const kv = () => this.connection.secrets;
    const data = { password: CANARY };
    const versioned = async (written: Promise<KvWritten>) => {
      const { version, createdAt } = await written;
      expect(Number.isSafeInteger(version)).toBe(true);
      expect(JSON.stringify(createdAt)).not.toBe('null');
      return version;
    };
    const change = (current?: KvSecret) => ({ ...current?.data.reveal(), more: CANARY });
    const first = async <T>(values: Observable<T>) => firstValueFrom(values);
    return {
      'KV list': { path: 'secret/metadata/folder', ask: () => kv().list('folder'), shows: true },
      'KV write': { path: 'POST secret/data/app', ask: () => versioned(kv().write('app', data)) },
      'KV write with cas': {
        path: 'POST secret/data/app',
        ask: () => versioned(kv().write('app', data, { cas: 1 })),
      },
      // The look at the next version after a lost answer, and at the current one after a conflict, get it, too.
      'KV write, and all reads about it': {
        path: 'secret/data/app',
        ask: () => versioned(kv().write('app', data, { cas: 0 })),
      },
      'KV v1 write': {
        path: 'kv1/app',
        ask: () =>
          kv()
            .write('app', data, { mount: 'kv1', kvVersion: 1 })
            .then(() => 'written'),
      },
      'KV patch': { path: 'PATCH secret/data/app', ask: () => versioned(kv().patch('app', data)) },
      'KV update, its read': {
        path: 'GET secret/data/app',
        ask: () => versioned(kv().update('app', change)),
      },
      'KV update, its write': {
        path: 'POST secret/data/app',
        ask: () => versioned(kv().update('app', change)),
      },
      'KV delete': {
        path: 'DELETE secret/data/app',
        ask: () =>
          kv()
            .delete('app')
            .then(() => 'deleted'),
      },
      ...Object.fromEntries(
        (['undelete', 'destroy'] as const).map((name) => [
          `KV ${name}`,
          {
            path: `secret/${name}/app`,
            ask: () =>
              kv()
                [name]('app', [1])
                .then(() => name),
          },
        ]),
      ),
      'KV metadata': {
        path: 'GET secret/metadata/app',
        ask: async () => {
          const read = await kv().metadata('app');
          expect(Object.values(read)).not.toContain(undefined);
          expect(read.versions.every(({ version }) => version >= 1)).toBe(true);
          // The settings of a secret are no secret.
          return [read.currentVersion, read.versions];
        },
      },
      'KV metadata write': {
        path: 'POST secret/metadata/app',
        ask: () =>
          kv()
            .writeMetadata('app', { maxVersions: 3 })
            .then(() => 'written'),
      },
      'KV metadata delete': {
        path: 'DELETE secret/metadata/app',
        ask: () =>
          kv()
            .deleteMetadata('app')
            .then(() => 'deleted'),
      },
      'KV subkeys': {
        path: 'secret/subkeys/app',
        ask: async () => {
          const { keys, version } = await kv().subkeys('app');
          expect(leavesOf(keys).every((leaf) => leaf === null)).toBe(true);
          return version;
        },
      },
      'KV watch': { path: 'secret/data/app', ask: () => first(kv().watch('app')), watches: true },
      'KV folder, its list': {
        path: 'secret/metadata/folder',
        ask: () => first(kv().watchFolder('folder')),
        shows: true,
        watches: true,
      },
      'KV folder, a secret': {
        path: 'secret/data/folder/one',
        ask: () => first(kv().watchFolder('folder')),
        watches: true,
      },
    };
  }

  async #issue(path: string): Promise<unknown> {
    try {
      const credentials = await this.connection.leases.get(path, 1);
      expect(JSON.stringify(credentials.lease.validUntil)).not.toBe('null');
      return credentials;
    } finally {
      await this.connection.leases.release(path);
    }
  }
}

/** All values of an object that are no objects themselves. */
function leavesOf(value: unknown): unknown[] {
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(leavesOf) : [value];
}

/** A {@link VaultError}, of bounded length and on one line. */
export function expectFit(error: unknown): asserts error is VaultError {
  if (!(error instanceof VaultError)) throw new Error(`no VaultError: ${inspect(error)}`, { cause: error });
  for (const text of [error.message, error.hint, error.path ?? '']) {
    if (text.length > LONGEST) throw new Error(`a text of ${text.length} characters`);
    // oxlint-disable-next-line no-control-regex
    if (/[\u0000-\u001f\u007f-\u009f\u2028-\u202e]/.test(text)) throw new Error('a control character');
  }
  // With its message, its stack and all members.
  expectHidden(error);
}

/** No printer shows a secret. */
export function expectHidden(value: unknown, shows = false): void {
  if (shows) return;
  const printed = `${JSON.stringify(value)}${inspect(value, { depth: 8, maxStringLength: 50_000 })}`;
  for (const secret of SECRETS) if (printed.includes(secret)) throw new Error(`${secret} is printed`);
}
