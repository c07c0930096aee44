import { setTimeout as sleep } from 'node:timers/promises';
import { issued, type Issued } from './issued.js';

export type { Issued };

/** The calls of a load, and their results. */
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

  /** Results of all calls started so far. */
  get numbers(): number[] {
    return Array.from({ length: this.count }, (_, index) => index + 1);
  }

  /** Starts no more calls; resolves when all have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#pending);
  }

  /** Milliseconds until a call started from now on succeeds. */
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

/** Resolves when a condition holds; for concurrent tests, in which `expect.poll` is not available. */
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

/** Credentials of a user that the test itself makes. */
export function issueByHand(path?: string): Issued {
  const user = `leased-${++serial}`;
  return issued({ serial, user, password: `canary-of-${user}`, ...(path && { path }) });
}
