import type { ApiRequest, ApiResponse } from './api.types.js';
import { sleep, type Clock } from '../clock/clock.js';
import { now, type Deadline } from '../clock/deadline.js';
import type { ClientOptions } from './client-options.js';
import { aborted, closed } from '../errors/common-errors.js';
import type { ResendReason } from '../events/channels.js';
import { operationOf, type Operation } from '../events/counters.js';
import type { Diagnostics, RequestTrace } from '../events/diagnostics.js';
import type { VaultError } from '../errors/vault-error.js';
import type { Secret } from '../secret/secret.js';
import { pastCaches } from './cached-answer.js';
import { ClusterIndex } from './cluster-index.js';
import { NO_PATH_RULES, type PathRules } from './failed-response.js';
import { fromNetworkError } from './network-error.js';
import { assertHeaderValue } from './path.js';
import { writeBody } from './request-body.js';
import { isSuccess, readAnswer, readFailure } from './read-answer.js';
import { isRepeatable } from './repeatable.js';
import { requestLayer, type RequestLayer } from './request-layer.js';
import { USER_AGENT } from './user-agent.js';
import type { Lane, Route, Sender, TransportResponse, WrittenRequest } from './transport.types.js';
import { ExchangeFailed, isUndone } from './transport-errors.js';

const READS = new Set(['GET', 'LIST']);
/** The node has not yet applied a state that the request requires, and has executed nothing. */
const BEHIND = 412;
/** Milliseconds before a request is sent again to such a node; they double. */
const CATCH_UP = { first: 50, longest: 1_000 };

/** The result of a request, for counters. */
export interface Outcome {
  operation: Operation;
  error?: VaultError;
  /** Whether the result shows if a working server exists. */
  conclusive: boolean;
}

type HookOptions = {
  method: string;
  uri: string;
  headers: WrittenRequest['headers'];
  json?: string;
  timeout: number;
  signal?: AbortSignal;
  lane?: Lane;
  repeatable: boolean;
  onResend?: (reason: ResendReason) => void;
};

/**
 * Sends one request, and returns a typed answer or throws a {@link VaultError}. It handles HTTP and Vault's envelope,
 * not time, sessions or retries.
 */
export class ApiClient {
  readonly #transport: Sender;
  readonly #layer: RequestLayer | Promise<RequestLayer>;
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #observe: (request: ApiRequest, milliseconds: number, outcome: Outcome) => void;
  readonly #rules: PathRules;
  readonly #diagnostics: Diagnostics | undefined;
  readonly #inconclusive = new WeakSet<VaultError>();
  #closed = false;
  readonly #index = new ClusterIndex();

  /**
   * @param observe called after each request, for counters
   * @param rules knowledge of engines about paths
   * @param diagnostics publishes each request
   */
  constructor(
    options: ClientOptions,
    clock: Clock,
    transport: Sender,
    observe: (request: ApiRequest, milliseconds: number, outcome: Outcome) => void = () => undefined,
    rules: PathRules = NO_PATH_RULES,
    diagnostics?: Diagnostics,
  ) {
    this.#rules = rules;
    this.#diagnostics = diagnostics;
    this.#options = options;
    this.#clock = clock;
    this.#observe = observe;
    this.#transport = transport;
    this.#layer = requestLayer((hook: HookOptions) => this.#exchange(hook));
  }

  async send<T = unknown>(request: ApiRequest, token?: Secret): Promise<ApiResponse<T>> {
    if (this.#closed) throw closed(request.path);
    const sentAt = now(this.#clock);
    const operation = operationOf(request.method, request.path);
    const trace = this.#diagnostics?.request(operation, request);
    try {
      const answer = await this.#send<T>(request, token, sentAt, trace);
      const duration = this.#clock.monotonic() - sentAt.monotonic;
      // A request for the health of a node does not show whether the node serves requests.
      this.#observe(request, duration, { operation, conclusive: isSuccess(answer.status) });
      trace?.answered(duration, answer);
      return answer;
    } catch (error) {
      const failed = error as VaultError;
      const duration = this.#clock.monotonic() - sentAt.monotonic;
      const conclusive = !this.#inconclusive.has(failed);
      this.#observe(request, duration, { operation, error: failed, conclusive });
      trace?.failed(duration, failed);
      throw error;
    }
  }

  /** The route of its requests; undefined if the server is in this process. */
  get route(): Route | undefined {
    return this.#transport.route;
  }

  /** Reads the client certificate again, and returns a text that changes with it; '' if there is none. */
  async clientCertificate(): Promise<string> {
    return (await this.#transport.clientCertificate?.()) ?? '';
  }

  /** The written form of a request that {@link send} would send, for another sender. */
  written(request: ApiRequest, token: Secret | undefined): WrittenRequest {
    const { method, path, body } = request;
    const headers = { ...this.#headers(request, token), 'content-type': 'application/json' };
    return { method, path: `/v1/${path}`, headers, body: writeBody(body, path) };
  }

  /** Aborts pending requests, and refuses later ones. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#transport.close();
  }

  async #send<T>(
    request: ApiRequest,
    token: Secret | undefined,
    sentAt: Deadline,
    trace: RequestTrace | undefined,
  ): Promise<ApiResponse<T>> {
    const json =
      request.json ?? (request.body === undefined ? undefined : writeBody(request.body, request.path));
    const limit = Math.min(request.timeout ?? Infinity, request.limit ?? this.#options.timeout);
    const end = sentAt.monotonic + limit;
    let lackedSince = Infinity;
    for (let wait = CATCH_UP.first; ; wait = Math.min(wait * 2, CATCH_UP.longest)) {
      const headers = this.#headers(request, token);
      const left = Math.ceil(end - this.#clock.monotonic());
      const response = await this.#attempt(request, json, headers, left, trace);
      const required = headers['X-Vault-Index'];
      if (response.statusCode !== BEHIND || required === undefined)
        return this.#read<T>(response, request, sentAt);
      const time = this.#clock.monotonic();
      lackedSince = Math.min(lackedSince, this.#index.lacked(time));
      // One caller with a short time does not take the index from the others.
      if (time + wait >= lackedSince + this.#options.timeout) this.#index.forget(required);
      if (time + wait >= end) return this.#read<T>(response, request, sentAt);
      await sleep(this.#clock, wait, request.signal).catch(() => undefined);
      if (this.#closed) throw closed(request.path);
      if (request.signal?.aborted) throw aborted(request.path, false);
      trace?.resent('behind');
    }
  }

  async #attempt(
    request: ApiRequest,
    json: string | undefined,
    headers: WrittenRequest['headers'],
    timeout: number,
    trace: RequestTrace | undefined,
  ): Promise<TransportResponse> {
    // Proxies and Node's own HTTP server refuse the LIST method; this form is equivalent.
    const list = request.method === 'LIST';
    const layer = this.#layer instanceof Promise ? await this.#layer : this.#layer;
    if (this.#transport.loading) await this.#transport.loading;
    try {
      const response = (await layer.request({
        method: list ? 'GET' : request.method,
        path: `/${request.path}${queryString(list ? { ...request.query, list: true } : request.query)}`,
        headers,
        ...(json !== undefined && { json }),
        timeout,
        ...(request.signal && { signal: request.signal }),
        ...(request.lane && { lane: request.lane }),
        repeatable: isRepeatable(request) && !this.#rules.creates(request.path),
        ...(trace && { onResend: (reason: ResendReason) => trace.resent(reason) }),
      })) as TransportResponse;
      trace?.answeredBy(response.address);
      return response;
    } catch (error) {
      const outcomeUnknown = !isUndone(error);
      if (this.#closed) throw closed(request.path, outcomeUnknown);
      if (request.signal?.aborted) throw aborted(request.path, outcomeUnknown);
      const typed = fromNetworkError(error, request.path, this.#options.addresses);
      if (error instanceof ExchangeFailed && error.stale) this.#inconclusive.add(typed);
      throw typed;
    }
  }

  #exchange(hook: HookOptions): Promise<TransportResponse> {
    const { method, uri, headers, timeout, signal, lane, repeatable, onResend } = hook;
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
      ...(onResend && { onResend }),
    });
  }

  #headers(request: ApiRequest, token: Secret | undefined): WrittenRequest['headers'] {
    const headers: WrittenRequest['headers'] = {
      'X-Vault-Request': 'true',
      'user-agent': USER_AGENT,
      ...this.#options.headers,
      ...(request.uncached && pastCaches()),
    };
    const namespace = request.namespace ?? this.#options.namespace;
    if (token) headers['X-Vault-Token'] = assertHeaderValue(token.reveal(), 'token');
    if (namespace) headers['X-Vault-Namespace'] = assertHeaderValue(namespace, 'namespace');
    const { header } = this.#index;
    // The active node executes writes: it lacks no state.
    if (header !== undefined && READS.has(request.method)) headers['X-Vault-Index'] = header;
    return Object.assign(headers, request.headers);
  }

  #read<T>(response: TransportResponse, request: ApiRequest, sentAt: Deadline): ApiResponse<T> {
    if (isSuccess(response.statusCode)) this.#index.record(response.headers['x-vault-index']);
    const answer = readAnswer<T>(response, request, sentAt);
    if (answer) return answer;
    const namespace = request.namespace ?? this.#options.namespace;
    throw readFailure(response, request, {
      ...(namespace && { namespace }),
      tokenNamespace: request.tokenNamespace ?? this.#options.namespace ?? '',
      explain: (refusal) => request.explain?.(refusal) ?? this.#rules.explain(refusal),
      missingHint: this.#rules.missingHint,
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
