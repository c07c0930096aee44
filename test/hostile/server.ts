import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.types.js';
import { CANARY, ok, type Answer } from './answers.js';

export const TOKEN = 'hvs.canary-of-the-token';
export const SECRET_ID = 'canary-of-the-secret-id';

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

/** A reader of the answers to one path, which may stand after a method. */
export interface Consumer {
  path: string;
  ask: () => Promise<unknown>;
  /** It returns names, which are not secret. */
  shows?: boolean;
  leased?: boolean;
  /** It asks until the answer is good. */
  watches?: boolean;
  /** It repeats requests for a second only. */
  brief?: boolean;
  /** It starts and ends an application each time. */
  application?: boolean;
}
