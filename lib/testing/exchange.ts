import type { Sender, TransportRequest, TransportResponse } from '../client/transport.js';
import { RedirectRefused, TransportTimeout } from '../client/transport.js';
import type { Core } from './core.js';
import { ConnectionFailure } from './faults.js';
import { serve, type HttpAnswer, type HttpRequest } from './serve.js';

/** Waits on the clock of the test; rejects where the request is given up. */
type Wait = (milliseconds: number) => Promise<void>;

/** One request through all that may go wrong with it. Throws a {@link ConnectionFailure} where the connection fails. */
export async function exchange(core: Core, request: HttpRequest, wait: Wait): Promise<HttpAnswer> {
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
    const serving = serve(core, request, entry);
    if (core.sql) core.hold(serving);
    answer = await serving;
  }
  entry.status = fault?.kind === 'drop' ? 'dropped' : answer.status;
  for (const delay of delays) if (delay.kind === 'delay' && !delay.before) await wait(delay.milliseconds);
  if (fault?.kind === 'drop') throw new ConnectionFailure('UND_ERR_SOCKET');
  return answer;
}

/** Sends requests to a simulated server in the same process: no socket, and no time but what is asked for. */
export class InProcessSender implements Sender {
  readonly #core: Core;
  readonly #source: string;
  readonly #waiting = new Set<(reason: Error) => void>();
  #closed = false;

  /** @param source the address that requests seem to come from */
  constructor(core: Core, source: string) {
    this.#core = core;
    this.#source = source;
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    request.signal?.throwIfAborted();
    if (this.#closed) throw new ConnectionFailure('UND_ERR_SOCKET');
    const headers: Record<string, string> = {};
    for (const name in request.headers) headers[name.toLowerCase()] = request.headers[name] as string;
    let patience = request.timeout;
    const wait = async (milliseconds: number) => {
      await this.#wait(Math.min(milliseconds, patience), request.signal);
      patience -= milliseconds;
      if (patience <= 0) throw new TransportTimeout('timed out');
    };
    const { method, path: url, body = '' } = request;
    const answer = await exchange(this.#core, { method, url, headers, body, source: this.#source }, wait);
    // As over the network: there is but one address, and a token goes to no other.
    const { location } = answer.headers;
    if (answer.status === 307 && location) throw new RedirectRefused(new URL(location).origin);
    return { statusCode: answer.status, headers: answer.headers, body: answer.body, address: 'simulated:' };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const reject of this.#waiting) reject(new ConnectionFailure('UND_ERR_SOCKET'));
  }

  #wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        cancel();
        this.#waiting.delete(fail);
        signal?.removeEventListener('abort', abort);
        settle();
      };
      const fail = (reason: Error) => end(() => reject(reason));
      const abort = () => fail(signal?.reason as Error);
      const cancel = this.#core.clock.setTimer(milliseconds, () => end(resolve), true);
      this.#waiting.add(fail);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }
}
