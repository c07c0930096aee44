import type { Clock } from '../clock/clock.js';
import type { Scheduler, Task } from '../clock/scheduler.js';

/** Milliseconds between looks. */
const EVERY = 10_000;

/** Notices that the source of a token holds another one, as an agent beside the application writes it. */
export class TokenSourceWatcher {
  readonly #version: (() => Promise<string>) | undefined;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #onChange: () => void;
  #known = '';
  #task: Task | undefined;
  #closed = false;

  constructor(
    version: (() => Promise<string>) | undefined,
    { clock, scheduler }: { clock: Clock; scheduler: Scheduler },
    onChange: () => void,
  ) {
    this.#version = version;
    this.#clock = clock;
    this.#scheduler = scheduler;
    this.#onChange = onChange;
  }

  /** What version there is; '' where there is none. */
  async look(): Promise<string> {
    try {
      return (await this.#version?.()) ?? '';
    } catch {
      return '';
    }
  }

  /** That version, seen before it was read so that no later change is missed, is in use; looks for others from now on. */
  taken(version: string): void {
    if (!this.#version) return;
    this.#known = version;
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#task?.cancel();
  }

  #next(): void {
    this.#task?.cancel();
    if (this.#closed) return;
    this.#task = this.#scheduler.at(this.#clock.monotonic() + EVERY, () => {
      void this.look().then((version) => {
        // Files are replaced in steps: none at all is no news.
        if (version !== '' && version !== this.#known) this.#onChange();
        this.#next();
      });
    });
  }
}
