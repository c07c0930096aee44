import { EventEmitter } from 'node:events';
import type { Agent, buildConnector } from 'undici';
import type { TlsOptions } from '../config/options.js';
import { createAgent, request } from './undici.js';

/** One HTTP request, to be sent to whichever address answers. */
export interface TransportRequest {
  method: string;
  /** Below the address, with the leading slash, encoded. */
  path: string;
  headers: Record<string, string>;
  body?: string;
  /** Milliseconds for the whole exchange. */
  timeout: number;
  signal?: AbortSignal;
}

/** One HTTP answer; the body is text, as what should be JSON may be a proxy's HTML. */
export interface TransportResponse {
  statusCode: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  /** The address that answered. */
  address: string;
}

/** A redirect that must not be followed; the target's origin is told, never the token. */
export class RedirectRefused extends Error {
  constructor(readonly origin: string) {
    super('redirect to an address that is not configured');
  }
}

/** The time allowed for the exchange is over. */
export class TransportTimeout extends Error {}

interface Address {
  origin: string;
  /** The path below which a proxy serves the API, or nothing. */
  prefix: string;
}

class Signal extends EventEmitter {
  aborted = false;
  reason: unknown;

  abort(reason: unknown): void {
    this.aborted = true;
    this.reason = reason;
    this.emit('abort');
  }
}

const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
/** Failures before anything was sent: another address may be tried, whatever the request would do. */
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Sealed, without a leader, or a standby that does not forward: nothing was done, and another node may do it. */
const NOT_SERVING = new Set([472, 473, 503]);

/** What sends one request once: the seam at which a simulated server takes the place of the network. */
export interface Sender {
  send(request: TransportRequest): Promise<TransportResponse>;
  close(): Promise<void>;
}

/**
 * Pooled keep-alive connections to the addresses of one connection. It sends a request to the address that answered
 * last, and to the next ones only where nothing was done: never twice to servers that may both do it.
 */
export class Transport implements Sender {
  readonly #agent: Agent;
  readonly #addresses: readonly Address[];
  #preferred = 0;

  constructor(addresses: readonly string[], tls: TlsOptions | undefined, connectTimeout: number) {
    this.#addresses = addresses.map((address) => {
      const { origin, pathname } = new URL(address);
      return { origin, prefix: pathname.replace(/\/$/, '') };
    });
    this.#agent = createAgent({ connections: 64, maxResponseSize: MAX_RESPONSE_BYTES }, {
      timeout: connectTimeout,
      ...(tls && {
        ca: tls.ca,
        cert: tls.cert,
        key: tls.key,
        passphrase: tls.passphrase,
        servername: tls.serverName,
      }),
    } as buildConnector.BuildOptions);
  }

  async send(options: TransportRequest): Promise<TransportResponse> {
    // undici takes an emitter for a signal, at a fraction of what an AbortController costs for each request.
    const signal = new Signal();
    const timer = setTimeout(() => signal.abort(new TransportTimeout('timed out')), options.timeout);
    const abort = () => signal.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      options.signal?.throwIfAborted();
      return await this.#tryInTurn(options, signal);
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    }
  }

  async #tryInTurn(options: TransportRequest, signal: Signal): Promise<TransportResponse> {
    const first = this.#preferred;
    const count = this.#addresses.length;
    for (let tried = 1; ; tried++) {
      const index = (first + tried - 1) % count;
      const address = this.#addresses[index] as Address;
      try {
        const response = await this.#exchange(address, address.prefix + options.path, options, signal);
        if (REDIRECTS.has(response.statusCode)) return await this.#follow(response, options, signal);
        if (NOT_SERVING.has(response.statusCode) && tried < count) continue;
        this.#preferred = index;
        return response;
      } catch (error) {
        // It may hang, and the next request would only hang with it.
        this.#preferred = (index + 1) % count;
        const undone = NOT_SENT.has(errorCode(error)) || error instanceof RedirectRefused;
        if (tried === count || !undone) throw error;
      }
    }
  }

  /** A standby names the leader. It is believed only where the leader is an address of ours; once. */
  async #follow(response: TransportResponse, options: TransportRequest, signal: Signal) {
    const location = String(response.headers['location']);
    const target = URL.canParse(location, response.address) ? new URL(location, response.address) : undefined;
    const index = this.#addresses.findIndex((address) => address.origin === target?.origin);
    const downgrade = response.address.startsWith('https:') && target?.protocol === 'http:';
    if (!target || index < 0 || downgrade)
      throw new RedirectRefused(target?.origin ?? 'an unreadable address');
    const address = this.#addresses[index] as Address;
    const result = await this.#exchange(address, target.pathname + target.search, options, signal);
    if (REDIRECTS.has(result.statusCode)) throw new RedirectRefused('one more address');
    this.#preferred = index;
    return result;
  }

  async #exchange(address: Address, path: string, options: TransportRequest, signal: Signal) {
    // Not undici's request(url): it would parse the URL again for each request.
    const response = await request(this.#agent, {
      origin: address.origin,
      path,
      method: options.method as 'GET',
      headers: options.headers,
      body: options.body ?? null,
      signal,
    });
    const body = await response.body.text();
    return { statusCode: response.statusCode, headers: response.headers, body, address: address.origin };
  }

  /** Ends idle connections at once and cuts the busy ones. */
  async close(): Promise<void> {
    await this.#agent.destroy();
  }
}

/** The code of a network failure, looked for where Node and undici put it (happy eyeballs wrap theirs). */
export function errorCode(error: unknown): string {
  for (let current = error, depth = 0; current && depth < 5; depth++) {
    const { code, cause, errors: list } = current as { code?: unknown; cause?: unknown; errors?: unknown[] };
    if (typeof code === 'string') return code;
    current = cause ?? list?.[0];
  }
  return '';
}

/** True where the answer was larger than this package accepts. */
export function isTooLarge(error: unknown): boolean {
  return errorCode(error) === 'UND_ERR_RES_EXCEEDED_MAX_SIZE';
}
