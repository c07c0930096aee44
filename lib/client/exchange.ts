import {
  errorCode,
  ExchangeFailed,
  isArgument,
  TIMED_OUT,
  TransportTimeout,
  type Progress,
} from './transport-errors.js';
import type { TransportResponse } from './transport.js';

/** As undici hands it out with a request that it begins. */
interface Controller {
  abort(reason: Error): void;
}

/**
 * One request to one address, as undici carries it out. It ends when it is told to, wherever it is: undici itself
 * leaves aborted requests that wait for a connection pending.
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

  /** undici did not take it, and keeps the connection it had chosen as busy for ever. */
  get refused(): boolean {
    return this.unsent && this.#failure !== undefined && isArgument(this.#failure.code);
  }

  /** Gives it up. One that waits for a connection is not sent when there is one. */
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
    this.#fail(new ExchangeFailed(errorCode(error), this.#progress, false, this.#address));
  }

  #fail(failure: ExchangeFailed): void {
    this.#failure ??= failure;
    this.#reject(this.#failure);
  }
}
