import { isRedirect, redirectTarget } from '../../client/redirect.js';
import { SOCKETS } from '../../client/transport.js';
import type { Sender, TransportRequest, TransportResponse } from '../../client/transport.types.js';
import { ExchangeFailed, TransportTimeout } from '../../client/transport-errors.js';
import { Limiter } from '../../clock/limiter.js';
import type { ServerContext } from '../server/server-context.js';
import { ConnectionFailure, exchange } from './exchange.js';

/** Address of all requests, for the check of redirects: a token is never sent to another address. */
const ADDRESS = { name: 'http://simulated', origin: 'http://simulated', prefix: '' };

/**
 * Sends requests to a simulated server in the same process, without network and without delay, unless a fault delays
 * them. As over the network, each lane has a limited number of sockets, and further requests wait.
 */
export class InProcessSender implements Sender {
  readonly #server: ServerContext;
  readonly #source: string;
  readonly #waiting = new Set<(reason: Error) => void>();
  readonly #sockets = { ordinary: new Limiter(SOCKETS.ordinary), vital: new Limiter(SOCKETS.vital) };
  #closed = false;

  readonly #readCertificate: () => string | undefined;
  #certificate: string | undefined;

  /**
   * @param source source address of the requests
   * @param certificate reads the client certificate, as PEM
   */
  constructor(
    server: ServerContext,
    source: string,
    certificate: () => string | undefined = () => undefined,
  ) {
    this.#server = server;
    this.#source = source;
    this.#readCertificate = certificate;
    this.#certificate = certificate();
  }

  /** As over the network, requests present the certificate that was read last. */
  async clientCertificate(): Promise<string> {
    this.#certificate = this.#readCertificate();
    return this.#certificate ?? '';
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    request.signal?.throwIfAborted();
    if (this.#closed) throw new ConnectionFailure('UND_ERR_SOCKET');
    const { clock } = this.#server;
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
    for (const name in request.headers) headers[name.toLowerCase()] = String(request.headers[name]);
    let remaining = timeout;
    const wait = async (milliseconds: number) => {
      await this.#wait(Math.min(milliseconds, remaining), request.signal);
      remaining -= milliseconds;
      if (remaining <= 0) throw new TransportTimeout('sent');
    };
    const { method, path: url, body = '' } = request;
    const from = { source: this.#source, certificate: this.#certificate };
    const answer = await exchange(this.#server, { method, url, headers, body, ...from }, wait);
    const { location } = answer.headers;
    if (isRedirect(answer.status)) redirectTarget({ ...answer, location, from: ADDRESS }, method, []);
    return { statusCode: answer.status, headers: answer.headers, body: answer.body, address: 'simulated:' };
  }

  /** Waits for a socket until the request times out. */
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

  /** @returns whether `early` resolved before the time elapsed */
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
      const cancel = this.#server.clock.setTimer(milliseconds, () => end(() => resolve(false)), true);
      this.#waiting.add(fail);
      signal?.addEventListener('abort', abort, { once: true });
      void early?.then(() => end(() => resolve(true)));
    });
  }
}
