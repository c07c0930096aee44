import type { Agent } from 'undici';
import type { ResolvedOptions } from '../config/resolved-options.js';
import type { TlsMaterial } from '../config/tls.js';
import { answeredHere } from './answered-here.js';
import { assertMayTravel } from './clear-text.js';
import { Connector, type TlsListener } from './connector.js';
import { Exchange } from './exchange.js';
import { isRedirect, redirectTarget } from './redirect.js';
import {
  errorCode,
  ExchangeFailed,
  isArgument,
  isDropped,
  isUndone,
  RedirectRefused,
  TIMED_OUT,
  TransportTimeout,
} from './transport-errors.js';
import { createAgent } from './undici.js';

export { RedirectRefused, TransportTimeout };

/**
 * Which sockets a request takes: `vital` is what keeps a credential in use alive (logins, renewals, look-ups,
 * replacements, revocations), and never waits behind anything else.
 */
export type Lane = 'ordinary' | 'vital';

/** Sockets to one address; as many requests of a lane are under way at a time. */
export const SOCKETS: Readonly<Record<Lane, number>> = { ordinary: 64, vital: 256 };

/** One HTTP request as it is sent. */
export interface WrittenRequest {
  method: string;
  /** Below the address, with the leading slash, encoded. */
  path: string;
  headers: Record<string, string>;
  body?: string;
}

/** One HTTP request, to be sent to whichever address answers. */
export interface TransportRequest extends WrittenRequest {
  /** Milliseconds for the whole exchange, wherever it waits. */
  timeout: number;
  signal?: AbortSignal;
  /** @default 'ordinary' */
  lane?: Lane;
  /** It does no more when it is done twice. @default false */
  repeatable?: boolean;
}

/** One HTTP answer; the body is text, as what should be JSON may be a proxy's HTML; and as it came, where that is known. */
export interface TransportResponse {
  statusCode: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  bytes?: Buffer;
  /** The address that answered. */
  address: string;
}

interface Address {
  origin: string;
  /** The path below which a proxy serves the API, or nothing. */
  prefix: string;
  /** Monotonic time of its last answer. */
  answeredAt: number;
}

/** One request on its way, and the exchange that it is in. */
interface Call {
  readonly request: TransportRequest;
  readonly endsAt: number;
  exchange: Exchange | undefined;
  /** Why it is over. */
  over: string | undefined;
}

const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
/** Sealed, without a leader, or a standby that does not forward: nothing was done, and another node may do it. */
const NOT_SERVING = new Set([472, 473, 503]);

/** Where requests go, for a sender in another thread. */
export interface Route {
  /** With the prefix of a proxy; the one that is asked first comes first. */
  addresses: readonly string[];
  tls?: TlsMaterial;
}

/** What sends one request once: the seam at which a simulated server takes the place of the network. */
export interface Sender {
  send(request: TransportRequest): Promise<TransportResponse>;
  /** None where the server is in this thread. */
  readonly route?: Route | undefined;
  close(): Promise<void>;
}

/** What is reported of the way to the server. */
export interface TransportListener extends TlsListener {
  /** Secrets travel in clear, as `allowHttp` permits. */
  clearText(addresses: readonly string[]): void;
}

/** Milliseconds; at most half the time for a request, so that it is known in time that nothing was sent. */
const CONNECT_TIMEOUT = 5_000;

/**
 * The network of a connection.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` where secrets would travel in clear
 */
export function openNetwork(options: ResolvedOptions, listener: TransportListener): Sender {
  const inClear = assertMayTravel(options);
  if (inClear.length > 0) listener.clearText(inClear);
  const timeout = Math.min(options.timeout / 2, CONNECT_TIMEOUT);
  return new Transport(options.addresses, new Connector(options.tls, timeout, listener));
}

/**
 * Pooled keep-alive connections to the addresses of one connection, apart for each lane. It sends a request to the
 * address that answered last, and to the next ones only where nothing was done: never twice to servers that may both
 * do it.
 */
export class Transport implements Sender {
  /** Those in use, and those that are about to end. */
  readonly #agents = new Set<Agent>();
  readonly #lanes: Partial<Record<Lane, Agent>> = {};
  /** Those over whose connections an answer came. */
  readonly #answered = new WeakSet<Agent>();
  readonly #addresses: readonly Address[];
  readonly #origins: readonly string[];
  readonly #connector: Connector;
  /** Index of the address that is asked first. */
  #preferred = 0;
  #closed = false;

  constructor(addresses: readonly string[], connector: Connector) {
    this.#addresses = addresses.map((address) => {
      const { origin, pathname } = new URL(address);
      return { origin, prefix: pathname.replace(/\/$/, ''), answeredAt: -Infinity };
    });
    this.#origins = this.#addresses.map(({ origin }) => origin);
    this.#connector = connector;
  }

  get route(): Route | undefined {
    if (this.#origins.every((origin) => answeredHere.has(origin))) return undefined;
    const all = this.#addresses.map(({ origin, prefix }) => origin + prefix);
    const addresses = [...all.slice(this.#preferred), ...all.slice(0, this.#preferred)];
    const { material } = this.#connector;
    return { addresses, ...(material && { tls: material }) };
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    const { timeout, signal } = request;
    const call: Call = { request, endsAt: performance.now() + timeout, exchange: undefined, over: undefined };
    const end = (code: string) => {
      call.over = code;
      call.exchange?.end(code);
    };
    const timer = setTimeout(end, timeout, TIMED_OUT);
    const abort = () => end('ABORTED');
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      return await this.#tryInTurn(call);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    }
  }

  async #tryInTurn(call: Call): Promise<TransportResponse> {
    const first = this.#preferred;
    const count = this.#addresses.length;
    for (let tried = 1; ; tried++) {
      const index = (first + tried - 1) % count;
      const address = this.#addresses[index] as Address;
      const beganAt = performance.now();
      try {
        const response = await this.#exchange(
          address,
          address.prefix + call.request.path,
          call,
          tried < count,
        );
        if (isRedirect(response.statusCode)) return await this.#follow(response, call);
        if (NOT_SERVING.has(response.statusCode) && tried < count) continue;
        this.#preferred = index;
        return response;
      } catch (error) {
        // It may hang, and the next request would only hang with it; unless it has answered another one meanwhile.
        if (address.answeredAt < beganAt) this.#preferred = (index + 1) % count;
        if (tried === count || call.over !== undefined || !maySendElsewhere(error)) throw error;
      }
    }
  }

  /** A standby names the leader; once. */
  async #follow(response: TransportResponse, call: Call): Promise<TransportResponse> {
    const { statusCode: status, headers, address: from } = response;
    const answer = { status, location: headers['location'], from };
    const target = redirectTarget(answer, call.request.method, this.#origins);
    const index = this.#origins.indexOf(target.origin);
    const address = this.#addresses[index] as Address;
    const result = await this.#exchange(address, target.pathname + target.search, call, false);
    if (isRedirect(result.statusCode)) throw new RedirectRefused('one more address', 'which is not followed');
    this.#preferred = index;
    return result;
  }

  /**
   * A balancer forgets connections that are idle for long, and resets what comes over them later. So where one that may
   * have been idle ends before the first byte of an answer, all of its age are given up; what may be done twice is sent
   * again, over a new one.
   */
  async #exchange(address: Address, path: string, call: Call, others: boolean): Promise<TransportResponse> {
    const { lane = 'ordinary', repeatable = false } = call.request;
    const agent = this.#agent(lane);
    try {
      return await this.#exchangeOver(agent, address, path, call, others);
    } catch (error) {
      if (!wasDropped(error) || !this.#answered.has(agent)) throw error;
      if (this.#lanes[lane] === agent) this.#replace(lane, agent);
      if (!repeatable || call.over !== undefined) throw new ExchangeFailed(error.code, 'sent', true);
    }
    return this.#exchangeOver(this.#agent(lane), address, path, call, others);
  }

  /** @param others where it waits for a connection, half the time is kept for other addresses */
  async #exchangeOver(
    agent: Agent,
    address: Address,
    path: string,
    call: Call,
    others: boolean,
  ): Promise<TransportResponse> {
    const { lane = 'ordinary', method, headers, body = null } = call.request;
    const exchange = new Exchange(address.origin);
    call.exchange = exchange;
    if (call.over === undefined) {
      agent.dispatch({ origin: address.origin, path, method: method as 'GET', headers, body }, exchange);
      if (exchange.refused && this.#lanes[lane] === agent) this.#replace(lane, agent);
    } else exchange.end(call.over);
    const skip = () => exchange.unsent && exchange.end('UND_ERR_CONNECT_TIMEOUT');
    const timer = others ? setTimeout(skip, (call.endsAt - performance.now()) / 2) : undefined;
    try {
      const response = await exchange.response;
      address.answeredAt = performance.now();
      this.#answered.add(agent);
      return response;
    } finally {
      clearTimeout(timer);
    }
  }

  #agent(lane: Lane): Agent {
    const known = this.#lanes[lane];
    if (known) return known;
    if (this.#closed) throw new ExchangeFailed('UND_ERR_CLOSED', 'unsent');
    const limits = { connections: SOCKETS[lane], maxResponseSize: MAX_RESPONSE_BYTES };
    const agent = createAgent(limits, this.#connector.connect);
    this.#agents.add(agent);
    this.#lanes[lane] = agent;
    return agent;
  }

  /** It ends what it has begun, and no more. One that refused a request keeps a connection as busy for ever. */
  #replace(lane: Lane, agent: Agent): void {
    delete this.#lanes[lane];
    const gone = () => this.#agents.delete(agent);
    // It rejects where the whole transport was closed meanwhile.
    void agent.close().then(gone, gone);
  }

  /** Ends idle connections at once and cuts the busy ones. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#agents].map((agent) => agent.destroy()));
  }
}

/** The connection ended before the first byte of an answer. */
function wasDropped(error: unknown): error is ExchangeFailed {
  return error instanceof ExchangeFailed && error.progress === 'sent' && isDropped(error.code);
}

/**
 * Nothing was done, and another address may have more luck: not where it is we who are wrong. One with a certificate
 * that is not trusted is passed over like one that is down, as nodes get new certificates one by one.
 */
function maySendElsewhere(error: unknown): boolean {
  return isUndone(error) && !isArgument(errorCode(error));
}
