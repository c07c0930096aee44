import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.types.js';
import type { VirtualClock } from '../../lib/testing/index.js';

/** Header of answers that a fault gave in the server's place. */
export const LIE = 'x-simulated-fault';
/** Replication lag: for so long a standby may not know a token, so that one refusal does not prove its end. */
const SETTLING = 2_000;

/** One request as sent, and its outcome. */
export interface Exchange {
  /** World time. */
  at: number;
  /** Below `/v1/`, without the query. */
  path: string;
  token: string;
  leaseId: string;
  /** Whether the renewal has an increment: it retires a lease. */
  retires: boolean;
  /** `lost`: the server may have executed it, and no answer came; `failed`: it had no effect, and no answer came. */
  outcome: 'pending' | 'answered' | 'lost' | 'failed';
  status: number;
  /** Whether a fault made up the answer. */
  lie: boolean;
  /** Client time of the answer. */
  answeredAt: number;
}

/** A lease whose id the client received. */
export interface KnownLease {
  id: string;
  /** The `creds` path of the issue. */
  path: string;
  token: string;
  username: string;
  /** Number of requests sent before the issue. */
  number: number;
}

/** A sender between the connection and the simulated server that records all requests. */
export class Witness implements Sender {
  readonly exchanges: Exchange[] = [];
  readonly leases = new Map<string, KnownLease>();
  readonly byUsername = new Map<string, KnownLease>();
  /** Tokens of logins whose answer arrived; with the time at which the login was sent, in world and client time. */
  readonly tokens = new Map<string, { at: number; monotonic: number }>();
  /** Logins, look-ups and renewals that were sent while the same request was pending. */
  readonly atOnce: string[] = [];
  readonly #pending = new Set<Exchange>();
  readonly #inner: Sender;
  readonly #clock: VirtualClock;

  constructor(inner: Sender, clock: VirtualClock) {
    this.#inner = inner;
    this.#clock = clock;
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    const body = JSON.parse(request.body ?? '{}') as { lease_id?: string; increment?: number };
    const exchange: Exchange = {
      at: this.#clock.elapsed,
      path: request.path.replace(/^\/v1\//, '').replace(/\?.*$/, ''),
      token: String(request.headers['X-Vault-Token'] ?? ''),
      leaseId: body.lease_id ?? '',
      retires: body.increment !== undefined,
      outcome: 'pending',
      status: 0,
      lie: false,
      answeredAt: Infinity,
    };
    const { path, token, leaseId } = exchange;
    const same = (one: Exchange) => one.path === path && one.token === token && one.leaseId === leaseId;
    if (!/creds/.test(path) && [...this.#pending].some(same)) this.atOnce.push(path);
    const sentAt = this.#clock.monotonic();
    const number = this.exchanges.push(exchange) - 1;
    this.#pending.add(exchange);
    try {
      const response = await this.#inner.send(request);
      exchange.outcome = 'answered';
      exchange.status = response.statusCode;
      exchange.answeredAt = this.#clock.monotonic();
      exchange.lie = LIE in response.headers;
      if (response.statusCode === 200 && !exchange.lie) this.#note(exchange, number, sentAt, response.body);
      return response;
    } catch (error) {
      exchange.outcome = (error as { code?: string }).code === 'ECONNREFUSED' ? 'failed' : 'lost';
      throw error;
    } finally {
      this.#pending.delete(exchange);
    }
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** Whether the client must know the end of a lease: a true answer to a later request reported it. */
  reportedEnd(lease: KnownLease, since: number): boolean {
    const asked = this.exchanges.filter(({ at, outcome }) => at >= since && outcome !== 'pending');
    const genuine = asked.filter(({ lie }) => !lie);
    if (genuine.some(({ leaseId, status }) => leaseId === lease.id && status === 400)) return true;
    const lookUps = asked.filter(
      ({ path, token }) => path === 'auth/token/lookup-self' && token === lease.token,
    );
    const last = lookUps.at(-1);
    if (!last || last.lie || last.status !== 403) return false;
    return !this.wasYoung(last) || lookUps.at(-2)?.status === 403;
  }

  /** Whether a node might not have known the token yet when it answered a request. */
  wasYoung({ token, answeredAt }: Exchange): boolean {
    return answeredAt - (this.tokens.get(token)?.monotonic ?? 0) <= SETTLING;
  }

  /** Whether the last renewal of a lease, or of its token, may have been executed without the client's knowledge. */
  renewalIsOpen({ id, token }: KnownLease): boolean {
    const open = (one: Exchange | undefined) => one?.outcome === 'lost' || one?.outcome === 'pending';
    const ofToken = ({ path, token: sender }: Exchange) => path.endsWith('renew-self') && sender === token;
    return (
      open(this.exchanges.findLast(({ leaseId }) => leaseId === id)) || open(this.exchanges.findLast(ofToken))
    );
  }

  #note({ path, token, at }: Exchange, number: number, monotonic: number, body: string): void {
    const answer = JSON.parse(body) as {
      lease_id?: string;
      data?: { username?: string };
      auth?: { client_token?: string };
    };
    if (path.endsWith('/login') && answer.auth?.client_token)
      this.tokens.set(answer.auth.client_token, { at, monotonic });
    if (!/\/creds\//.test(path) || !answer.lease_id) return;
    const lease = { id: answer.lease_id, path, token, username: answer.data?.username ?? '', number };
    this.leases.set(lease.id, lease);
    this.byUsername.set(lease.username, lease);
  }
}
