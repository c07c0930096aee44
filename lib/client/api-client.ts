import createNodeVault from 'node-vault';
import type { Clock } from '../clock/clock.js';
import { now, type Deadline } from '../clock/deadline.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import { aborted, closed, tooDeep } from '../errors/common-errors.js';
import { VaultError } from '../errors/vault-error.js';
import type { Secret } from '../secret/secret.js';
import { isTooDeep, isVersion, parseAnswer, readAuth, readWords, textOf } from './answer.js';
import { madeAt, pastCaches } from './cached-answer.js';
import { hasLifeMembers, isDuration, isObject } from './answer-members.js';
import { fromNetworkError } from './network-error.js';
import { assertHeaderValue } from './path.js';
import { writeBody } from './request-body.js';
import { fromResponse, notVault } from './response-error.js';
import { USER_AGENT } from './user-agent.js';
import { Transport, type Lane, type Sender, type TransportResponse } from './transport.js';
import { isUndone } from './transport-errors.js';
import { readWarnings } from './warnings.js';

/** Milliseconds; at most half the time for a request, so that it is known in time that nothing was sent. */
const CONNECT_TIMEOUT = 5_000;

/** State of a cluster, as HashiCorp Vault writes it: some 200 characters. It goes back with every read. */
const INDEX = /^[\x21-\x7e]{1,1024}$/;
/** One API request, as the rest of the package makes them. */
export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LIST';
  /** Below `/v1/`, encoded already. */
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  body?: unknown;
  /** In the place of `body`: written as JSON already. */
  json?: string;
  /** Instead of the connection's own. */
  namespace?: string;
  /** As {@link checkRequest} made them. */
  headers?: Readonly<Record<string, string>>;
  /** Milliseconds; never more than the connection's own timeout. */
  timeout?: number;
  signal?: AbortSignal;
  /** The server itself has to answer: a cache in front of it would hand out what somebody has, or had, already. */
  uncached?: boolean;
  /** `vital` where a credential in use depends on it. @default 'ordinary' */
  lane?: Lane;
}

/** A Vault answer with status 2xx. */
export interface ApiResponse<T = unknown> {
  status: number;
  data: T;
  auth: ApiAuth | null;
  leaseId: string;
  /** Seconds. */
  leaseDuration: number;
  renewable: boolean;
  warnings: readonly string[];
  /** Type of the secrets engine or auth method that answered; HashiCorp Vault only. */
  mountType: string | undefined;
  /** When the request left, or a cache got its answer: durations in the answer count from here. */
  sentAt: Deadline;
  /** What tells of a lease or a token is as servers write it; where it is not, that is left out here. */
  wellFormed: boolean;
  /** A cache answered: nothing was done for this request. */
  cached: boolean;
}

/** What a login or a token renewal answers. */
export interface ApiAuth {
  client_token: string;
  accessor: string;
  /** Seconds. */
  lease_duration: number;
  renewable: boolean;
  token_type?: string;
  num_uses?: number;
  policies?: readonly string[];
}

type HookOptions = {
  method: string;
  uri: string;
  headers: Record<string, string>;
  json?: string;
  timeout: number;
  signal?: AbortSignal;
  lane?: Lane;
};

/**
 * Sends one request, and returns a typed answer or throws a {@link VaultError}. It knows HTTP and Vault's
 * envelope, nothing of time, sessions or retries. This is the only file that knows node-vault, whose request path
 * is used over our own transport; its token handling, debug output and error objects stay out (they hold secrets).
 */
export class ApiClient {
  readonly #transport: Sender;
  readonly #nodeVault: { request(options: object): Promise<unknown> };
  readonly #options: ResolvedOptions;
  readonly #clock: Clock;
  readonly #observe: (request: ApiRequest, milliseconds: number, error?: VaultError) => void;
  #closed = false;
  /** State of the cluster that later reads must not fall behind of, where the server tells it. */
  #index: string | undefined;

  /** @param observe told of each request when it is over, for counting */
  constructor(
    options: ResolvedOptions,
    clock: Clock,
    transport?: Sender,
    observe: (request: ApiRequest, milliseconds: number, error?: VaultError) => void = () => undefined,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#observe = observe;
    this.#transport =
      transport ??
      new Transport(options.addresses, options.tls, Math.min(options.timeout / 2, CONNECT_TIMEOUT));
    const nodeVault = createNodeVault({
      debug: () => undefined,
      tv4: { validate: () => true },
      'request-promise': { defaults: () => (hook: HookOptions) => this.#exchange(hook) },
    } as object) as unknown as {
      request(options: object): Promise<unknown>;
      handleVaultResponse: (response: unknown) => unknown;
      endpoint: string;
      pathPrefix: string;
      token?: string;
      namespace?: string;
    };
    // Environment variables would otherwise decide these silently.
    Object.assign(nodeVault, { endpoint: '', pathPrefix: '', token: undefined, namespace: undefined });
    nodeVault.handleVaultResponse = (response) => response;
    this.#nodeVault = nodeVault;
  }

  async send<T = unknown>(request: ApiRequest, token?: Secret): Promise<ApiResponse<T>> {
    if (this.#closed) throw closed(request.path);
    const sentAt = now(this.#clock);
    const took = () => this.#clock.monotonic() - sentAt.monotonic;
    try {
      const answer = await this.#send<T>(request, token, sentAt);
      this.#observe(request, took());
      return answer;
    } catch (error) {
      this.#observe(request, took(), error as VaultError);
      throw error;
    }
  }

  /** Cuts what is in flight; every later request is refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#transport.close();
  }

  async #send<T>(request: ApiRequest, token: Secret | undefined, sentAt: Deadline): Promise<ApiResponse<T>> {
    // Proxies and Node's own HTTP server refuse the LIST method; this form means the same.
    const list = request.method === 'LIST';
    const json =
      request.json ?? (request.body === undefined ? undefined : writeBody(request.body, request.path));
    let response: TransportResponse;
    try {
      response = (await this.#nodeVault.request({
        method: list ? 'GET' : request.method,
        path: `/${request.path}${queryString(list ? { ...request.query, list: true } : request.query)}`,
        headers: this.#headers(request, token),
        ...(json !== undefined && { json }),
        timeout: Math.min(request.timeout ?? Infinity, this.#options.timeout),
        ...(request.signal && { signal: request.signal }),
        ...(request.lane && { lane: request.lane }),
      })) as TransportResponse;
    } catch (error) {
      const answerLost = !isUndone(error);
      if (this.#closed) throw closed(request.path, answerLost);
      if (request.signal?.aborted) throw aborted(request.path, answerLost);
      throw fromNetworkError(error, request.path, this.#options.addresses);
    }
    return this.#read<T>(response, request, sentAt);
  }

  #exchange(hook: HookOptions): Promise<TransportResponse> {
    const { method, uri, headers, timeout, signal, lane } = hook;
    const body = hook.json;
    if (body !== undefined)
      headers['content-type'] ??= method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    return this.#transport.send({
      method,
      path: uri,
      headers,
      timeout,
      ...(body !== undefined && { body }),
      ...(signal && { signal }),
      ...(lane && { lane }),
    });
  }

  #headers(request: ApiRequest, token: Secret | undefined): Record<string, string> {
    const headers: Record<string, string> = {
      'X-Vault-Request': 'true',
      'user-agent': USER_AGENT,
      ...this.#options.headers,
      ...(request.uncached && pastCaches()),
    };
    const namespace = request.namespace ?? this.#options.namespace;
    if (token) headers['X-Vault-Token'] = assertHeaderValue(token.reveal(), 'token');
    if (namespace) headers['X-Vault-Namespace'] = assertHeaderValue(namespace, 'namespace');
    if (this.#index && request.method === 'GET') headers['X-Vault-Index'] = this.#index;
    return Object.assign(headers, request.headers);
  }

  #read<T>(response: TransportResponse, request: ApiRequest, sentAt: Deadline): ApiResponse<T> {
    const { statusCode: status, body, headers } = response;
    const { path } = request;
    if (status >= 200 && status < 300) {
      const index = headers['x-vault-index'];
      if (typeof index === 'string' && INDEX.test(index)) this.#index = index;
      if (isTooDeep(body)) throw tooDeep(path);
      const envelope = parseAnswer(body);
      if (envelope === undefined) {
        const [code, message, hint] = notVault(status);
        throw new VaultError({ code, message, hint, status, path, answerLost: true });
      }
      const { data = null, lease_id, lease_duration, renewable, warnings, mount_type } = envelope;
      const auth = readAuth(envelope['auth']);
      return {
        status,
        data: data as T,
        auth,
        leaseId: textOf(lease_id),
        leaseDuration: isDuration(lease_duration) ? lease_duration : 0,
        renewable: renewable === true,
        warnings: readWarnings(
          warnings,
          data,
          (envelope['auth'] as Partial<ApiAuth> | null | undefined)?.client_token,
        ),
        mountType: typeof mount_type === 'string' ? mount_type : undefined,
        wellFormed: hasLifeMembers(envelope),
        ...madeAt(headers, sentAt),
      };
    }
    const envelope = isTooDeep(body) ? undefined : parseAnswer(body);
    const kv = status === 404 && deletedVersion(envelope, path);
    if (kv) throw kv;
    const date = Date.parse(textOf(headers['date']));
    const namespace = request.namespace ?? this.#options.namespace;
    throw fromResponse({
      status,
      messages: [...readWords(envelope?.['errors']), ...readWords(envelope?.['warnings'])],
      json: envelope !== undefined,
      method: request.method,
      path,
      ...(namespace && { namespace }),
      ...(Number.isFinite(date) && { clockSkew: date - this.#clock.wall() }),
      ...retryAfter(headers['retry-after']),
    });
  }
}

/** KV v2 answers 404 with the metadata of a version that is deleted or destroyed. */
function deletedVersion(
  envelope: Readonly<Record<string, unknown>> | undefined,
  path: string,
): VaultError | undefined {
  const data = envelope?.['data'];
  const metadata = isObject(data) ? data['metadata'] : undefined;
  if (!isObject(metadata)) return undefined;
  const { version, destroyed } = metadata;
  const which = isVersion(version) ? `Version ${version} at ${path}` : `What is asked for at ${path}`;
  return destroyed === true
    ? new VaultError({
        code: 'VAULT_SECRET_DESTROYED',
        message: `${which} was destroyed.`,
        hint: 'Its data is gone for good: write a new version, and pin that one.',
        status: 404,
        path,
      })
    : new VaultError({
        code: 'VAULT_SECRET_DELETED',
        message: `${which} is deleted.`,
        hint: 'Undelete it (vault kv undelete -versions=…), or pin another version.',
        status: 404,
        path,
      });
}

function queryString(query: ApiRequest['query']): string {
  if (!query) return '';
  const defined = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(
    defined.map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
  return text && `?${text}`;
}

function retryAfter(header: unknown): { retryAfter?: number } {
  const seconds = typeof header === 'string' ? Number(header) : NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfter: Math.min(seconds, 60) * 1000 } : {};
}
