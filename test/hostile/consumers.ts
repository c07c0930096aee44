import { RefusedLogins } from '../../lib/auth/refused-logins.js';
import { prepareLogin } from '../../lib/auth/run-login.js';
import { firstValueFrom, type Observable } from 'rxjs';
import { expect } from 'vitest';
import { ApiClient } from '../../lib/client/api-client.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import type { KvSecret } from '../../lib/engines/kv/read-kv.js';
import type { KvWritten } from '../../lib/engines/kv/write-kv.js';
import { EventBus, type VaultEvent } from '../../lib/events/events.js';
import { appRole, fromWrappedToken, token } from '../../lib/index.js';
import { VirtualClock } from '../../lib/testing/index.js';
import { CANARY, type Answer } from './answers.js';
import { applications } from './applications.js';
import { expectFit, expectHidden } from './fit.js';
import { SECRET_ID, Server, TOKEN, type Consumer } from './server.js';

/** A connection to such a server, and all readers of its answer. */
export class World {
  readonly clock = new VirtualClock();
  readonly server = new Server();
  readonly events: VaultEvent[] = [];
  readonly connection: VaultConnection;
  /** It logs in at its first call, and repeats requests for a second only: each of the many calls of KV would parse an answer of megabytes again. */
  readonly #brief: VaultConnection;
  readonly #api: ApiClient;

  constructor() {
    const options = resolveOptions({
      address: 'http://vault.test',
      auth: appRole({ roleId: 'app', secretId: SECRET_ID }),
      startup: { timeout: 0 },
    });
    const bus = new EventBus();
    bus.events$.subscribe((event) => void this.events.push(event));
    this.connection = new VaultConnection(options, bus, this.clock, this.server);
    this.#brief = new VaultConnection({ ...options, timeout: 1_000 }, bus, this.clock, this.server);
    this.#api = new ApiClient(options, this.clock, this.server);
  }

  async start(): Promise<this> {
    await this.clock.until(this.connection.login());
    // Within the replication lag of two seconds, a refusal of a new token is checked twice.
    await this.clock.advance(3_000);
    return this;
  }

  async close(): Promise<void> {
    await this.clock.until(Promise.all([this.connection.close(), this.#brief.close()]));
  }

  /** Consumers by kind of answer. */
  readonly consumers: Record<string, Consumer> = {
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
    ...Object.fromEntries(
      Object.entries(this.#kvCalls()).map(([name, call]) => [name, { ...call, brief: true }]),
    ),
    ...applications(this.clock, this.server),
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
    const { path, ask, shows, leased, watches = false } = this.consumers[name] as Consumer;
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
    const kv = () => this.#brief.secrets;
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
      'KV watch': {
        path: 'secret/data/app',
        // Custom metadata is no secret.
        ask: async () => (await first(kv().watch('app'))).data,
        watches: true,
      },
      'KV folder, its list': {
        path: 'secret/metadata/folder',
        ask: () => first(kv().watchFolder('folder')),
        shows: true,
        watches: true,
      },
      'KV folder, a secret': {
        path: 'secret/data/folder/one',
        ask: async () => [...(await first(kv().watchFolder('folder'))).values()].map(({ data: one }) => one),
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
