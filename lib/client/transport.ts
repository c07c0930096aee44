import type { Lane, TransportRequest, TransportResponse, Route, Sender } from './transport.types.js';
import type { Agent } from 'undici';
import type { ClientOptions } from './client-options.js';
import { systemClock } from '../clock/clock.js';
import { answeredHere } from './answered-here.js';
import { assertMayTravel } from './clear-text.js';
import { Connector, type TlsListener } from './connector.js';
import { Exchange } from './exchange.js';
import { tunnelHeaders } from './proxy.js';
import { SIMULATED_HEADER } from './simulated-header.js';
import { isRedirect, redirectTarget } from './redirect.js';
import { serverAddresses, type ServerAddress } from './server-address.js';
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
import { fingerprint } from '../secret/fingerprint.js';
import type { TlsMaterial } from './tls.js';
import { createAgent, loadUndici } from './undici.js';

export { RedirectRefused, TransportTimeout };

/** Sockets to one address, and so concurrent requests of a lane. */
export const SOCKETS: Readonly<Record<Lane, number>> = { ordinary: 64, vital: 256 };

const LANES = Object.keys(SOCKETS) as Lane[];

interface Address extends ServerAddress {
  /** Monotonic time of the last answer. */
  answeredAt: number;
}

/** One pending request, and its current exchange. */
interface Call {
  readonly request: TransportRequest;
  readonly endsAt: number;
  exchange: Exchange | undefined;
  /** The reason of its end. */
  endCode: string | undefined;
}

const MAX_RESPONSE_BYTES = 32 * 1024 * 1024;
/** Sealed, without a leader, or a standby that does not forward or is behind: had no effect, another node may execute it. */
const NOT_SERVING = new Set([412, 472, 473, 503]);

/** As other clients send it over a socket. */
const LOCAL = { host: 'localhost' };

/** Reports of the network. */
export interface TransportListener extends TlsListener {
  /** Secrets travel in clear, as `allowHttp` permits it. */
  clearText(addresses: readonly string[]): void;
  /** The server at this address says that it is a simulated one. Reported once. */
  simulated(address: string): void;
}

/**
 * Timeout of a connection attempt in milliseconds: at most half the time of a request, so that "unsent" is known in
 * time.
 */
const CONNECT_TIMEOUT = 5_000;

/**
 * The network of a connection.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` if secrets would travel in clear without `allowHttp`
 */
export function openNetwork(options: ClientOptions, listener: TransportListener): Sender {
  const inClear = assertMayTravel(options);
  if (inClear.length > 0) listener.clearText(inClear);
  const timeout = Math.min(options.timeout / 2, CONNECT_TIMEOUT);
  const addresses = serverAddresses(options.addresses, options.proxy);
  return new Transport(addresses, new Connector(addresses, options.tls, timeout, listener), listener);
}

/**
 * Pooled keep-alive connections to the addresses of one connection, separate for each lane. Sends a request to the
 * address that answered last, and to the next ones only if it had no effect: never to two servers that may both execute
 * it.
 */
export class Transport implements Sender {
  readonly loading: Promise<void> | undefined = loadUndici();
  /** Current agents, and those that are closing. */
  readonly #agents = new Set<Agent>();
  readonly #lanes: Partial<Record<Lane, Agent>> = {};
  /** Agents whose connections have delivered an answer. */
  readonly #answered = new WeakSet<Agent>();
  readonly #addresses: readonly Address[];
  readonly #connector: Connector;
  readonly #listener: Pick<TransportListener, 'simulated'> | undefined;
  /** The TLS material of the current agents. */
  #material: TlsMaterial | undefined;
  /** Index of the address that is tried first. */
  #preferred = 0;
  #simulated = false;
  #closed = false;

  constructor(
    addresses: readonly ServerAddress[],
    connector: Connector,
    listener?: Pick<TransportListener, 'simulated'>,
  ) {
    this.#listener = listener;
    this.#addresses = addresses.map((address) => ({ ...address, answeredAt: -Infinity }));
    this.#connector = connector;
    this.#material = connector.material;
  }

  get route(): Route | undefined {
    if (this.#addresses.every(({ name }) => answeredHere.has(name))) return undefined;
    const all = this.#addresses.map(({ name, prefix }) => name + prefix);
    const addresses = [...all.slice(this.#preferred), ...all.slice(0, this.#preferred)];
    const { material } = this.#connector;
    const proxy = this.#addresses.find((address) => address.proxy)?.proxy;
    return {
      addresses,
      ...(material && { tls: material }),
      ...(proxy && {
        proxy: { url: proxy.url, headers: tunnelHeaders(proxy), addresses: proxy.addresses },
      }),
    };
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    const { timeout, signal } = request;
    const call: Call = {
      request,
      endsAt: systemClock.monotonic() + timeout,
      exchange: undefined,
      endCode: undefined,
    };
    const end = (code: string) => {
      call.endCode = code;
      call.exchange?.end(code);
    };
    // Sockets take real time, also for a connection with another clock.
    const cancelTimer = systemClock.setTimer(timeout, () => end(TIMED_OUT), true);
    const abort = () => end('ABORTED');
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    try {
      return await this.#tryInTurn(call);
    } finally {
      cancelTimer();
      signal?.removeEventListener('abort', abort);
    }
  }

  async #tryInTurn(call: Call): Promise<TransportResponse> {
    const first = this.#preferred;
    const count = this.#addresses.length;
    let refused: TransportResponse | undefined;
    for (let tried = 1; ; tried++) {
      const index = (first + tried - 1) % count;
      const address = this.#addresses[index] as Address;
      const beganAt = systemClock.monotonic();
      try {
        const response = await this.#exchange(
          address,
          address.prefix + call.request.path,
          call,
          tried < count,
        );
        if (isRedirect(response.statusCode)) return await this.#follow(response, address, call);
        if (NOT_SERVING.has(response.statusCode) && tried < count) {
          refused = response;
          call.request.onResend?.('other-address');
          continue;
        }
        this.#preferred = index;
        return response;
      } catch (error) {
        // Prefer the next address: this one may accept connections and never answer. Not if it has answered another
        // request.
        if (address.answeredAt < beganAt) this.#preferred = (index + 1) % count;
        if (call.endCode !== undefined || !maySendElsewhere(error)) throw error;
        if (tried < count) {
          call.request.onResend?.('other-address');
          continue;
        }
        // A node that answered says more than one that is down.
        if (refused) return refused;
        throw error;
      }
    }
  }

  /** Follows the redirect of a standby to its leader, once. */
  async #follow(response: TransportResponse, from: Address, call: Call): Promise<TransportResponse> {
    const answer = { status: response.statusCode, location: response.headers['location'], from };
    const { index, path } = redirectTarget(answer, call.request.method, this.#addresses);
    call.request.onResend?.('redirect');
    const result = await this.#exchange(this.#addresses[index] as Address, path, call, false);
    if (isRedirect(result.statusCode)) throw new RedirectRefused('another address', 'which is not followed');
    this.#preferred = index;
    return result;
  }

  /**
   * A balancer drops connections that are idle for long, and resets later requests on them. So if a connection that may
   * have been idle ends before the first byte of an answer, all connections of its age are closed, and an idempotent
   * request is sent again over a new one.
   */
  async #exchange(address: Address, path: string, call: Call, others: boolean): Promise<TransportResponse> {
    const { lane = 'ordinary', repeatable = false } = call.request;
    // undici uses a connection again after a turn of the event loop.
    if (repeatable && this.#idleAgent(lane))
      await new Promise<void>((resolve) => void systemClock.nextTurn(resolve));
    const agent = (repeatable && this.#idleAgent(lane)) || this.#agent(lane);
    try {
      return await this.#exchangeOver(agent, address, path, call, others);
    } catch (error) {
      if (!wasDropped(error) || !this.#answered.has(agent)) throw error;
      this.#retire(agent);
      if (!repeatable || call.endCode !== undefined) throw new ExchangeFailed(error.code, 'sent', true);
    }
    call.request.onResend?.('stale-socket');
    return this.#exchangeOver(this.#agent(lane), address, path, call, others);
  }

  /** @param others whether to keep half the time for other addresses while it waits for a connection */
  async #exchangeOver(
    agent: Agent,
    address: Address,
    path: string,
    call: Call,
    others: boolean,
  ): Promise<TransportResponse> {
    const { method, body = null } = call.request;
    const headers = { ...call.request.headers, ...(address.socketPath !== undefined && LOCAL) };
    const exchange = new Exchange(address.name);
    call.exchange = exchange;
    if (call.endCode === undefined) {
      agent.dispatch({ origin: address.origin, path, method: method as 'GET', headers, body }, exchange);
      if (exchange.refused) this.#retire(agent);
    } else exchange.end(call.endCode);
    const skip = () => exchange.unsent && exchange.end('UND_ERR_CONNECT_TIMEOUT');
    const half = (call.endsAt - systemClock.monotonic()) / 2;
    const cancelTimer = others ? systemClock.setTimer(half, skip, true) : undefined;
    try {
      const response = await exchange.response;
      address.answeredAt = systemClock.monotonic();
      this.#answered.add(agent);
      if (SIMULATED_HEADER in response.headers) this.#reportSimulated(address.origin);
      return response;
    } finally {
      cancelTimer?.();
    }
  }

  #reportSimulated(origin: string): void {
    if (this.#simulated) return;
    this.#simulated = true;
    this.#listener?.simulated(origin);
  }

  async clientCertificate(): Promise<string> {
    await this.#connector.refresh();
    const { cert, pfx } = this.#connector.material ?? {};
    return (cert ?? pfx) ? fingerprint(cert ?? Buffer.from(pfx ?? []).toString('base64')) : '';
  }

  /**
   * The agent of the login for the first reads, as long as one of its connections is idle: a handshake less before the
   * first value. One at a time, so that no request of the lane `vital` waits for a read.
   */
  #idleAgent(lane: Lane): Agent | undefined {
    const { [lane]: own, vital } = this.#current();
    return !own && vital && isIdle(vital) ? vital : undefined;
  }

  /** The agents for new requests. Open sockets go on with the contents that the TLS files had. */
  #current(): Partial<Record<Lane, Agent>> {
    const { material } = this.#connector;
    if (material !== this.#material) {
      this.#material = material;
      for (const agent of Object.values(this.#lanes)) this.#retire(agent);
    }
    return this.#lanes;
  }

  #agent(lane: Lane): Agent {
    const known = this.#current()[lane];
    if (known) return known;
    if (this.#closed) throw new ExchangeFailed('UND_ERR_CLOSED', 'unsent');
    const limits = { connections: SOCKETS[lane], maxResponseSize: MAX_RESPONSE_BYTES };
    const agent = createAgent(limits, this.#connector.connect);
    this.#agents.add(agent);
    this.#lanes[lane] = agent;
    return agent;
  }

  /**
   * Lets an agent end its requests, and take no new ones. One that refused a request marks a connection as busy without
   * end.
   */
  #retire(agent: Agent): void {
    const lane = LANES.find((one) => this.#lanes[one] === agent);
    if (!lane) return;
    delete this.#lanes[lane];
    const forget = () => this.#agents.delete(agent);
    // Rejects if the whole transport was closed meanwhile.
    void agent.close().then(forget, forget);
  }

  /** Ends idle connections at once and cuts the busy ones. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#agents].map((agent) => agent.destroy()));
  }
}

/** Whether the connection ended before the first byte of an answer. */
function wasDropped(error: unknown): error is ExchangeFailed {
  return error instanceof ExchangeFailed && error.progress === 'sent' && isDropped(error.code);
}

/**
 * Whether the request had no effect and another address may accept it: not if the request itself is invalid. An address
 * with an untrusted certificate is skipped like an unreachable one, as nodes get new certificates one by one.
 */
function maySendElsewhere(error: unknown): boolean {
  return isUndone(error) && !isArgument(errorCode(error));
}

/** Whether a connection is open, and none is in use. */
function isIdle({ stats }: Agent): boolean {
  const pools = Object.values(stats);
  return pools.some(({ connected }) => connected) && pools.every(({ size }) => size === 0);
}
