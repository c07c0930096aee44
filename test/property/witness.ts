import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.js';
import type { VirtualClock } from '../../lib/testing/index.js';

/** Header of answers that a fault gave in the server's place. */
export const LIE = 'x-simulated-fault';

/** One request as it went over the wire, and what came of it. */
export interface Exchange {
  /** Time of the rest of the world. */
  at: number;
  /** Time of the client. */
  monotonic: number;
  /** Below `/v1/`, without the query. */
  path: string;
  token: string;
  leaseId: string;
  /** With an increment: a lease is retired. */
  retires: boolean;
  /** `lost`: the server may have done it, but no answer came; `failed`: it did nothing, and no answer came. */
  outcome: 'pending' | 'answered' | 'lost' | 'failed';
  status: number;
  /** The server did not say this. */
  lie: boolean;
}

/** A lease whose id was told to the client. */
export interface KnownLease {
  id: string;
  /** What was issued: `creds` path. */
  path: string;
  token: string;
  username: string;
  toldAt: number;
}

/** Stands between the connection and the simulated server, and remembers all that passes. */
export class Witness implements Sender {
  readonly exchanges: Exchange[] = [];
  readonly leases = new Map<string, KnownLease>();
  readonly byUsername = new Map<string, KnownLease>();
  /** Tokens of logins whose answer arrived. */
  readonly tokens = new Map<string, { toldAt: number }>();
  /** The last exchange of each lease and token that might have changed how long they live. */
  readonly lostRenewals = new Set<string>();
  inFlight = 0;
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
      monotonic: this.#clock.monotonic(),
      path: request.path.replace(/^\/v1\//, '').replace(/\?.*$/, ''),
      token: request.headers['X-Vault-Token'] ?? '',
      leaseId: body.lease_id ?? '',
      retires: body.increment !== undefined,
      outcome: 'pending',
      status: 0,
      lie: false,
    };
    this.exchanges.push(exchange);
    this.inFlight++;
    try {
      const response = await this.#inner.send(request);
      exchange.outcome = 'answered';
      exchange.status = response.statusCode;
      exchange.lie = LIE in response.headers;
      // What was asked for of a lease or token is not known to have been done.
      if (exchange.lie) return response;
      this.#note(exchange, response);
      return response;
    } catch (error) {
      exchange.outcome = (error as { code?: string }).code === 'ECONNREFUSED' ? 'failed' : 'lost';
      if (exchange.outcome === 'lost' && /renew/.test(exchange.path))
        this.lostRenewals.add(exchange.leaseId || exchange.token);
      throw error;
    } finally {
      this.inFlight--;
    }
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  /** A true answer to a question about a lease or a token, asked after a moment, that tells of its end. */
  toldOfEnd(lease: KnownLease, since: number): Exchange | undefined {
    // A young token may not be known everywhere yet, so that the client looks twice, half a second apart.
    const looked = this.#clock.monotonic() - 500;
    const after = this.exchanges.filter(({ at, lie }) => at >= since && !lie);
    const refused = after.findLast(
      ({ path, leaseId, status }) => path === 'sys/leases/renew' && leaseId === lease.id && status === 400,
    );
    const lookUp = after.findLast(
      ({ path, token }) => path === 'auth/token/lookup-self' && token === lease.token,
    );
    return refused ?? (lookUp?.status === 403 && lookUp.monotonic <= looked ? lookUp : undefined);
  }

  #note(exchange: Exchange, { statusCode, body }: TransportResponse): void {
    if (statusCode !== 200) return;
    const answer = JSON.parse(body) as {
      lease_id?: string;
      data?: { username?: string };
      auth?: { client_token?: string };
    };
    const { path, token } = exchange;
    if (/\/login$/.test(path) && answer.auth?.client_token)
      this.tokens.set(answer.auth.client_token, { toldAt: this.#clock.elapsed });
    if (/\/creds\//.test(path) && answer.lease_id) {
      const username = answer.data?.username ?? '';
      const lease = { id: answer.lease_id, path, token, username, toldAt: this.#clock.elapsed };
      this.leases.set(lease.id, lease);
      this.byUsername.set(username, lease);
    }
    if (/renew/.test(path)) this.lostRenewals.delete(exchange.leaseId || token);
  }
}
