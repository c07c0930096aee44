import createNodeVault from 'node-vault';
import type { Clock } from '../clock/clock.js';
import { now, type Deadline } from '../clock/deadline.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import { aborted, closed } from '../errors/common-errors.js';
import type { VaultError } from '../errors/vault-error.js';
import type { Secret } from '../secret/secret.js';
import { pastCaches } from './cached-answer.js';
import { fromNetworkError } from './network-error.js';
import { assertHeaderValue } from './path.js';
import { writeBody } from './request-body.js';
import { isSuccess, readAnswer, readFailure } from './read-answer.js';
import { isRepeatable } from './repeatable.js';
import { USER_AGENT } from './user-agent.js';
import type { Lane, Route, Sender, TransportResponse, WrittenRequest } from './transport.js';
import { ExchangeFailed, isUndone } from './transport-errors.js';

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
  /** In which form an answer is wanted that may be no JSON. */
  responseType?: 'text' | 'bytes';
  /** Where the token was made, if not in the connection's own namespace. */
  tokenFrom?: string;
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
  /** Where the answer was wrapped: what stands for it. */
  wrapInfo?: ApiWrapInfo | undefined;
  /** An answer that is no envelope, as a whole. */
  whole?: unknown;
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
  /** All that the answer says of it, the token among it. */
  whole: Readonly<Record<string, unknown>>;
}

/** What stands for a wrapped answer, as servers write it. */
export interface ApiWrapInfo {
  token: string;
  accessor: string;
  /** Seconds. */
  ttl: number;
  creation_time: string;
  creation_path: string;
  wrapped_accessor?: string;
}

/** What became of a request, for those who count. */
export interface Outcome {
  error?: VaultError;
  /** It says whether there is a server that works. */
  conclusive: boolean;
}

type HookOptions = {
  method: string;
  uri: string;
  headers: Record<string, string>;
  json?: string;
  timeout: number;
  signal?: AbortSignal;
  lane?: Lane;
  repeatable: boolean;
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
  readonly #observe: (request: ApiRequest, milliseconds: number, outcome: Outcome) => void;
  readonly #inconclusive = new WeakSet<VaultError>();
  #closed = false;
  /** State of the cluster that later reads must not fall behind of, where the server tells it. */
  #index: string | undefined;

  /** @param observe told of each request when it is over, for counting */
  constructor(
    options: ResolvedOptions,
    clock: Clock,
    transport: Sender,
    observe: (request: ApiRequest, milliseconds: number, outcome: Outcome) => void = () => undefined,
  ) {
    this.#options = options;
    this.#clock = clock;
    this.#observe = observe;
    this.#transport = transport;
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
      // Whoever asks for the health of a node learns of that; nothing was asked of what it serves.
      this.#observe(request, took(), { conclusive: isSuccess(answer.status) });
      return answer;
    } catch (error) {
      const failed = error as VaultError;
      this.#observe(request, took(), { error: failed, conclusive: !this.#inconclusive.has(failed) });
      throw error;
    }
  }

  /** Where its requests go; nothing where the server is in this process. */
  get route(): Route | undefined {
    return this.#transport.route;
  }

  /** A request as {@link send} would send it, for another sender. */
  written(request: ApiRequest, token: Secret): WrittenRequest {
    const { method, path, body } = request;
    const headers = { ...this.#headers(request, token), 'content-type': 'application/json' };
    return { method, path: `/v1/${path}`, headers, body: writeBody(body, path) };
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
        repeatable: isRepeatable(request),
      })) as TransportResponse;
    } catch (error) {
      const answerLost = !isUndone(error);
      if (this.#closed) throw closed(request.path, answerLost);
      if (request.signal?.aborted) throw aborted(request.path, answerLost);
      const typed = fromNetworkError(error, request.path, this.#options.addresses);
      if (error instanceof ExchangeFailed && error.stale) this.#inconclusive.add(typed);
      throw typed;
    }
    return this.#read<T>(response, request, sentAt);
  }

  #exchange(hook: HookOptions): Promise<TransportResponse> {
    const { method, uri, headers, timeout, signal, lane, repeatable } = hook;
    const body = hook.json;
    if (body !== undefined)
      headers['content-type'] ??= method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    return this.#transport.send({
      method,
      path: uri,
      headers,
      timeout,
      repeatable,
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
    const index = response.headers['x-vault-index'];
    if (isSuccess(response.statusCode) && typeof index === 'string' && INDEX.test(index)) this.#index = index;
    const answer = readAnswer<T>(response, request, sentAt);
    if (answer) return answer;
    const namespace = request.namespace ?? this.#options.namespace;
    throw readFailure(response, request, {
      ...(namespace && { namespace }),
      tokenFrom: request.tokenFrom ?? this.#options.namespace ?? '',
      now: this.#clock.wall(),
    });
  }
}

function queryString(query: ApiRequest['query']): string {
  if (!query) return '';
  const defined = Object.entries(query).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(
    defined.map(([key, value]): [string, string] => [key, String(value)]),
  ).toString();
  return text && `?${text}`;
}
