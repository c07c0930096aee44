import { isRedirect, redirectTarget } from '../../client/redirect.js';
import {
  type Sender,
  SOCKETS,
  type TransportRequest,
  type TransportResponse,
} from '../../client/transport.js';
import { ExchangeFailed, TransportTimeout } from '../../client/transport-errors.js';
import { Limiter } from '../../clock/limiter.js';
import type { ServerState } from '../server/server-state.js';
import { ConnectionFailure } from '../server/faults.js';
import { handleRequest, type HttpAnswer, type HttpRequest } from './handle-request.js';

/** Waits on the clock of the test; rejects where the request is given up. */
type Wait = (milliseconds: number) => Promise<void>;

/** One request through all that may go wrong with it. Throws a {@link ConnectionFailure} where the connection fails. */
export async function exchange(core: ServerState, request: HttpRequest, wait: Wait): Promise<HttpAnswer> {
  const [path = '', query = ''] = request.url.split('?', 2);
  const entry = core.history.begin(request.method, path, query, request.headers['x-vault-namespace'] ?? '');
  const { delays, fault } = core.faults.take({ method: request.method, path });
  for (const delay of delays) if (delay.kind === 'delay' && delay.before) await wait(delay.milliseconds);
  if (fault?.kind === 'cut') {
    entry.status = 'cut';
    throw new ConnectionFailure('ECONNREFUSED');
  }
  let answer: HttpAnswer;
  if (fault?.kind === 'answer') {
    const { status, body, headers } = fault;
    const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
    answer = { status, headers: { date: core.httpDate, ...headers }, body: text };
  } else {
    const serving = handleRequest(core, request, entry);
    if (core.sql) core.hold(serving);
    answer = await serving;
  }
  entry.status = fault?.kind === 'drop' ? 'dropped' : answer.status;
  for (const delay of delays) if (delay.kind === 'delay' && !delay.before) await wait(delay.milliseconds);
  if (fault?.kind === 'drop') throw new ConnectionFailure('UND_ERR_SOCKET');
  return answer;
}

/** What a request comes from, as far as redirects matter: there is but one address, and a token goes to no other. */
const ADDRESS = 'http://simulated';

/**
 * Sends requests to a simulated server in the same process: no network, and no time but what is asked for. As over the
 * network, so many requests of a lane are under way at a time, and the others wait.
 */
export class InProcessSender implements Sender {
  readonly #core: ServerState;
  readonly #source: string;
  readonly #waiting = new Set<(reason: Error) => void>();
  readonly #sockets = { ordinary: new Limiter(SOCKETS.ordinary), vital: new Limiter(SOCKETS.vital) };
  #closed = false;

  /** @param source the address that requests seem to come from */
  constructor(core: ServerState, source: string) {
    this.#core = core;
    this.#source = source;
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    request.signal?.throwIfAborted();
    if (this.#closed) throw new ConnectionFailure('UND_ERR_SOCKET');
    const { clock } = this.#core;
    const sockets = this.#sockets[request.lane ?? 'ordinary'];
    const end = clock.monotonic() + request.timeout;
    const turn = sockets.enter();
    if (turn) await this.#turn(turn, sockets, request);
    try {
      return await this.#exchange(request, end - clock.monotonic());
    } finally {
      sockets.leave();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const reject of this.#waiting) reject(new ConnectionFailure('UND_ERR_SOCKET'));
  }

  async #exchange(request: TransportRequest, timeout: number): Promise<TransportResponse> {
    const headers: Record<string, string> = {};
    for (const name in request.headers) headers[name.toLowerCase()] = request.headers[name] as string;
    let patience = timeout;
    const wait = async (milliseconds: number) => {
      await this.#wait(Math.min(milliseconds, patience), request.signal);
      patience -= milliseconds;
      if (patience <= 0) throw new TransportTimeout('sent');
    };
    const { method, path: url, body = '' } = request;
    const answer = await exchange(this.#core, { method, url, headers, body, source: this.#source }, wait);
    const { location } = answer.headers;
    if (isRedirect(answer.status)) redirectTarget({ ...answer, location, from: ADDRESS }, method, []);
    return { statusCode: answer.status, headers: answer.headers, body: answer.body, address: 'simulated:' };
  }

  /** Waits for a socket, as long as the request may. */
  async #turn(turn: Promise<void>, sockets: Limiter, { timeout, signal }: TransportRequest): Promise<void> {
    try {
      if (await this.#wait(timeout, signal, turn)) return;
    } catch {
      void turn.then(() => sockets.leave());
      throw new ExchangeFailed('ABORTED', 'unsent');
    }
    void turn.then(() => sockets.leave());
    throw new TransportTimeout('unsent');
  }

  /** @returns whether something came before the time was over */
  #wait(milliseconds: number, signal: AbortSignal | undefined, early?: Promise<void>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        cancel();
        this.#waiting.delete(fail);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      const fail = (reason: Error) => end(() => reject(reason));
      const abort = () => fail(signal?.reason as Error);
      const cancel = this.#core.clock.setTimer(milliseconds, () => end(() => resolve(false)), true);
      this.#waiting.add(fail);
      signal?.addEventListener('abort', abort, { once: true });
      void early?.then(() => end(() => resolve(true)));
    });
  }
}
