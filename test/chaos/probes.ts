import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';

const EVERY = 100;
/** An orchestrator waits no longer for an answer; a suspended process gives none. */
const TIMEOUT = 1_000;

/** The answers to the three probes at one moment: HTTP statuses, 0 for none. */
export interface Probed {
  at: number;
  started: number;
  ready: number;
  live: number;
  /** Why it is not ready. */
  reason?: string;
}

/** What the probes said in a case. */
export interface ProbeSummary {
  /** Milliseconds for which the application was not ready, with the reasons. */
  notReady: number;
  reasons: string[];
  /** How often the other two said no. */
  notLive: number;
  notStarted: number;
  /** Milliseconds without an answer. */
  silent: number;
}

/** Asks for the three probes all the time, as an orchestrator does. */
export class Probes {
  readonly answers: Probed[] = [];
  readonly #url: string;
  readonly #inspect: (text: string) => void;
  readonly #agent = new Agent();
  readonly #work: Promise<void>;
  #stopped = false;

  /** @param inspect called with the text of each answer */
  constructor(url: string, inspect: (text: string) => void) {
    this.#url = url;
    this.#inspect = inspect;
    this.#work = this.#ask();
  }

  /** Ends when the application gives no answer any more. */
  async untilRefused(): Promise<void> {
    this.#stopped = true;
    await this.#work;
    await this.#agent.close();
  }

  summary(since: number): ProbeSummary {
    const answers = this.answers.filter(({ at }) => at >= since);
    const time = (matches: (one: Probed) => boolean) =>
      answers.reduce((sum, one, index) => {
        const until = answers[index + 1]?.at ?? one.at;
        return matches(one) ? sum + until - one.at : sum;
      }, 0);
    const no = (kind: 'started' | 'live') => answers.filter((one) => one[kind] > 200).length;
    return {
      notReady: time(({ ready }) => ready > 200),
      reasons: [...new Set(answers.flatMap(({ reason }) => reason ?? []))],
      notLive: no('live'),
      notStarted: no('started'),
      silent: time(({ ready, live }) => ready === 0 || live === 0),
    };
  }

  async #ask(): Promise<void> {
    for (;;) {
      const at = Date.now();
      const [started, ready, live] = await Promise.all([
        this.#one('started'),
        this.#one('ready'),
        this.#one('live'),
      ]);
      if (this.#stopped && ready.status === 0) return;
      const { reason } = ready;
      const statuses = { started: started.status, ready: ready.status, live: live.status };
      this.answers.push({ at, ...statuses, ...(reason && { reason }) });
      await sleep(EVERY);
    }
  }

  async #one(kind: string): Promise<{ status: number; reason?: string }> {
    try {
      const signal = AbortSignal.timeout(TIMEOUT);
      const options = { dispatcher: this.#agent, signal };
      const { statusCode: status, body } = await request(`${this.#url}/probe/${kind}`, options);
      const text = await body.text();
      this.#inspect(text);
      if (status === 200) return { status };
      const { details } = JSON.parse(text) as {
        details: { vault: { connections: { default: { reason?: string } } } };
      };
      return { status, reason: details.vault.connections.default.reason ?? 'shutting down' };
    } catch (error) {
      if (error instanceof SyntaxError) throw error;
      return { status: 0 };
    }
  }
}
