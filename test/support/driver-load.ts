import { setTimeout as sleep } from 'node:timers/promises';
import { issued, type Issued } from './issued.js';

export type { Issued };

/** What was done again and again, and what became of it. */
export class Load {
  count = 0;
  readonly failures: { error: unknown; at: number }[] = [];
  succeeded = 0;
  readonly #pending = new Set<Promise<void>>();
  readonly #timer: NodeJS.Timeout;

  /** Starts `work` each `every` milliseconds, whether or not the one before is done. */
  constructor(work: (n: number) => Promise<unknown>, every = 20) {
    this.#timer = setInterval(() => this.#do(work), every);
  }

  /** Of all that were started. */
  get numbers(): number[] {
    return Array.from({ length: this.count }, (_, index) => index + 1);
  }

  /** No more are started; resolves when all are done. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  /** Milliseconds until one succeeds that was started from now on. */
  async recovery(): Promise<number> {
    const since = Date.now();
    const { count } = this;
    await until(() => this.#newest > count);
    return Date.now() - since;
  }

  #newest = 0;

  #do(work: (n: number) => Promise<unknown>): void {
    const n = ++this.count;
    const one = work(n).then(
      () => {
        this.succeeded++;
        this.#newest = Math.max(this.#newest, n);
      },
      (error: unknown) => void this.failures.push({ error, at: Date.now() }),
    );
    this.#pending.add(one);
    void one.finally(() => this.#pending.delete(one));
  }
}

/** Waits so many milliseconds. */
export const pause = (milliseconds: number): Promise<void> => sleep(milliseconds);

/** Resolves when a condition holds; in tests that run concurrently, where `expect.poll` is not to be had. */
export async function until(condition: () => boolean | Promise<boolean>, timeout = 15_000): Promise<void> {
  for (const late = Date.now() + timeout; !(await condition());) {
    if (Date.now() > late) throw new Error(`Not within ${timeout} ms: ${condition.toString()}`);
    await sleep(10);
  }
}

/** Prints a figure under VAULT_TEST_FIGURES, past vitest's own lines. */
export function figure(text: string): void {
  if (process.env['VAULT_TEST_FIGURES']) process.stderr.write(`  ${text}\n`);
}

let serial = 0;

/** Credentials of a user that a test makes by itself. */
export function issueByHand(path?: string): Issued {
  const user = `leased-${++serial}`;
  return issued({ serial, user, password: `canary-of-${user}`, ...(path && { path }) });
}
