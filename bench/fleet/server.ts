import { ConnectionFailure } from '../../lib/testing/server/faults.js';
import { TransportTimeout, type Sender, type TransportRequest } from '../../lib/client/transport.js';
import type { TransportResponse } from '../../lib/client/transport.js';
import type { Clock } from '../../lib/clock/clock.js';
import type { Tally } from './tally.js';

interface Waiting {
  request: TransportRequest;
  /** The client has gone: real servers notice, and do no work for it. */
  gone: boolean;
  answer: (response: Promise<TransportResponse>) => void;
  fail: (error: Error) => void;
}

/**
 * The way to a server that can do only so much: requests are worked on one after the other, each for the same time,
 * and the rest wait, as they do at a Vault without quotas. It can be away: connections are refused then.
 */
export class BusyServer implements Sender {
  readonly #clock: Clock;
  readonly #inner: Sender;
  readonly #tally: Tally;
  /** Milliseconds of work for one request. */
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

  /** Stops as a process does that is killed: what it was about to do is lost, and connections are refused. */
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
      // A timer only for those who may have to wait so long: the others would only cost memory and time.
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
