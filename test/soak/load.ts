import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

export type Kind = 'query' | 'transaction' | 'cursor';

/** One request from its client's point of view. */
export interface Result {
  kind: Kind;
  /** Milliseconds since 1970. */
  at: number;
  /** Milliseconds until the answer, beyond the requested duration of the work. */
  took: number;
  ended: number;
  /** The error code of a failure. */
  code?: string;
}

/** The mix of concurrent requests. */
export interface Mix {
  /** Short queries a second: sent on schedule, whether or not earlier ones have ended. */
  rate: number;
  /** Clients that send one request after the other. */
  transactions: number;
  cursors: number;
  /** Duration of a transaction or a cursor in milliseconds: from, to. */
  long: readonly [number, number];
}

/** About twelve at a time: seven long ones, and short ones that take a few milliseconds each. */
export const MIX: Mix = { rate: 100, transactions: 5, cursors: 2, long: [1_000, 5_000] };

/** An answer that takes longer than the work by so many milliseconds counts as missing. */
const PATIENCE = 20_000;
/** Limit of unanswered requests: more would only test this process. */
const MOST_IN_FLIGHT = 200;

/** Sends requests to an application, and records the result of each. */
export class Load {
  readonly results: Result[] = [];
  /** Short queries that were not sent, as too many were pending. */
  shed = 0;
  readonly #url: string;
  readonly #mix: Mix;
  readonly #inspect: (text: string) => void;
  readonly #agent = new Agent({ connections: 256, headersTimeout: 0, bodyTimeout: 0 });
  readonly #workers: Promise<void>[] = [];
  readonly #inFlight = new Set<Promise<Result>>();
  #stopping: Promise<void> | undefined;

  /** @param inspect called with the text of every failure */
  constructor(url: string, inspect: (text: string) => void, mix: Mix = MIX) {
    this.#url = url;
    this.#inspect = inspect;
    this.#mix = mix;
  }

  start(): this {
    const { transactions, cursors } = this.#mix;
    for (let worker = 0; worker < transactions; worker++) this.#workers.push(this.#repeat('transaction'));
    for (let worker = 0; worker < cursors; worker++) this.#workers.push(this.#repeat('cursor'));
    this.#workers.push(this.#pace());
    return this;
  }

  /** Sends nothing more, and waits for pending requests. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  failures(since = 0): Result[] {
    return this.results.filter(({ code, ended }) => code !== undefined && ended >= since);
  }

  /** The number of successful requests that were sent after a time. */
  successes(since: number): number {
    return this.results.filter(({ code, at }) => code === undefined && at >= since).length;
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#workers);
    await Promise.all(this.#inFlight);
    await this.#agent.close();
  }

  async #repeat(kind: 'transaction' | 'cursor'): Promise<void> {
    const [from, to] = this.#mix.long;
    while (!this.#stopping) {
      const { code } = await this.#send(kind, Math.round(from + Math.random() * (to - from)));
      // A refusal comes at once, so the client pauses before its next request.
      if (code !== undefined) await sleep(100);
    }
  }

  async #pace(): Promise<void> {
    const began = performance.now();
    for (let sent = 0; !this.#stopping; sent++) {
      const early = began + (sent * 1_000) / this.#mix.rate - performance.now();
      if (early > 0) await sleep(early);
      if (this.#inFlight.size >= MOST_IN_FLIGHT) {
        this.shed++;
        continue;
      }
      const sending = this.#send('query', 0);
      this.#inFlight.add(sending);
      void sending.finally(() => this.#inFlight.delete(sending));
    }
  }

  async #send(kind: Kind, asked: number): Promise<Result> {
    const at = now();
    const code = await this.#request(kind === 'query' ? '/query' : `/${kind}/${asked}`, asked + PATIENCE);
    const ended = now();
    const result = { kind, at, ended, took: ended - at - asked, ...(code !== undefined && { code }) };
    this.results.push(result);
    return result;
  }

  async #request(path: string, timeout: number): Promise<string | undefined> {
    try {
      const signal = AbortSignal.timeout(timeout);
      const { statusCode, body } = await request(this.#url + path, { dispatcher: this.#agent, signal });
      const text = await body.text();
      if (statusCode === 200) return undefined;
      this.#inspect(text);
      return (JSON.parse(text) as { code?: string }).code ?? `HTTP ${statusCode}`;
    } catch (error) {
      const { code, name } = error as { code?: string; name: string };
      return `no answer to ${path.split('/')[1]}: ${typeof code === 'string' ? code : name}`;
    }
  }
}

/** Finer than `Date.now()`, on the same scale. */
function now(): number {
  return performance.timeOrigin + performance.now();
}
