import { ConnectionFailure } from '../../lib/testing/http/exchange.js';
import { TransportTimeout } from '../../lib/client/transport.js';
import type { Sender, TransportRequest, TransportResponse } from '../../lib/client/transport.types.js';
import type { Clock } from '../../lib/clock/clock.js';
import type { Tally } from './tally.js';

interface Waiting {
  request: TransportRequest;
  /** Whether the client has closed its request: real servers notice that, and do not execute it. */
  gone: boolean;
  answer: (response: Promise<TransportResponse>) => void;
  fail: (error: Error) => void;
}

/**
 * A queue before a server of limited capacity: it handles requests one after the other, each for the same time, and the
 * rest wait, as at a Vault without quotas. It can be stopped, and then refuses connections.
 */
export class BusyServer implements Sender {
  readonly #clock: Clock;
  readonly #inner: Sender;
  readonly #tally: Tally;
  /** Time to handle one request, in milliseconds. */
  readonly #work: number;
  #queue: Waiting[] = [];
  #first = 0;
  #busy = false;
  #away = false;

  constructor(clock: Clock, inner: Sender, tally: Tally, work: number) {
    this.#clock = clock;
    this.#inner = inner;
    this.#tally = tally;
    this.#work = work;
  }

  /** Stops like a killed process: pending requests are lost, and connections are refused. */
  stop(): void {
    this.#away = true;
    const lost = this.#queue.slice(this.#first);
    this.#queue = [];
    this.#first = 0;
    for (const { fail } of lost) fail(new ConnectionFailure('UND_ERR_SOCKET'));
  }

  start(): void {
    this.#away = false;
  }

  async send(request: TransportRequest): Promise<TransportResponse> {
    this.#tally.onSent();
    if (this.#away) {
      this.#tally.onRefused();
      throw new ConnectionFailure('ECONNREFUSED');
    }
    const response = await this.#inTurn(request);
    this.#tally.onAnswer(request, response.statusCode);
    return response;
  }

  async close(): Promise<void> {}

  #inTurn(request: TransportRequest): Promise<TransportResponse> {
    return new Promise((resolve, reject) => {
      let cancel = () => {};
      const waiting: Waiting = {
        request,
        gone: false,
        answer: (response) => {
          cancel();
          resolve(response);
        },
        fail: (error) => {
          cancel();
          waiting.gone = true;
          reject(error);
        },
      };
      this.#queue.push(waiting);
      // A timer only for requests that may have to wait so long: others would only cost memory and time.
      if ((this.#queue.length - this.#first) * this.#work >= request.timeout)
        cancel = this.#clock.setTimer(request.timeout, () => waiting.fail(new TransportTimeout('sent')));
      this.#next();
    });
  }

  #next(): void {
    while (this.#queue[this.#first]?.gone) this.#first++;
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    }
    if (this.#busy || this.#queue.length === 0) return;
    this.#busy = true;
    this.#clock.setTimer(this.#work, () => {
      this.#busy = false;
      const waiting = this.#queue[this.#first];
      if (waiting && !waiting.gone) {
        this.#first++;
        waiting.answer(this.#inner.send(waiting.request));
      }
      this.#next();
    });
  }
}
