import {
  errorCode,
  ExchangeFailed,
  isArgument,
  ProxyFailed,
  TIMED_OUT,
  TransportTimeout,
  type Progress,
} from './transport-errors.js';
import type { TransportResponse } from './transport.types.js';

/** The controller that undici passes with a request that it begins. */
interface Controller {
  abort(reason: Error): void;
}

/**
 * One request to one address, executed by undici. `end` ends it at any stage: undici itself leaves aborted requests
 * that wait for a connection pending.
 */
export class Exchange {
  readonly response: Promise<TransportResponse>;
  readonly #address: string;
  readonly #chunks: Buffer[] = [];
  #resolve!: (response: TransportResponse) => void;
  #reject!: (error: ExchangeFailed) => void;
  #controller: Controller | undefined;
  #progress: Progress = 'unsent';
  #failure: ExchangeFailed | undefined;
  #status = 0;
  #headers: TransportResponse['headers'] = {};

  constructor(address: string) {
    this.#address = address;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  get unsent(): boolean {
    return this.#progress === 'unsent';
  }

  /** Whether undici refused the request, and so marks the chosen connection as busy without end. */
  get refused(): boolean {
    return this.unsent && this.#failure !== undefined && isArgument(this.#failure.code);
  }

  /** Aborts the exchange. A request that waits for a connection is not sent later. */
  end(code: string): void {
    if (this.#failure) return;
    const failure =
      code === TIMED_OUT ? new TransportTimeout(this.#progress) : new ExchangeFailed(code, this.#progress);
    this.#fail(failure);
    this.#controller?.abort(failure);
  }

  onRequestStart(controller: Controller): void {
    this.#controller = controller;
    if (this.#failure) controller.abort(this.#failure);
    else this.#progress = 'sent';
  }

  onResponseStarted(): void {
    this.#progress = 'answered';
  }

  onResponseStart(_controller: Controller, status: number, headers: TransportResponse['headers']): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [first] = this.#chunks;
    const whole = this.#chunks.length === 1 && first ? first : Buffer.concat(this.#chunks);
    this.#resolve({
      statusCode: this.#status,
      headers: this.#headers,
      body: whole.toString(),
      bytes: whole,
      address: this.#address,
    });
  }

  onResponseError(_controller: Controller, error: Error): void {
    const proxy = error instanceof ProxyFailed ? error : undefined;
    this.#fail(new ExchangeFailed(errorCode(error), this.#progress, false, this.#address, proxy));
  }

  #fail(failure: ExchangeFailed): void {
    this.#failure ??= failure;
    this.#reject(this.#failure);
  }
}
