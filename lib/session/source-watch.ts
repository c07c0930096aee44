import type { Clock } from '../clock/clock.js';
import type { Scheduler, Task } from '../clock/scheduler.js';

/** Milliseconds between looks. */
const EVERY = 10_000;

/** Notices that the source of a token holds another one, as an agent beside the application writes it. */
export class SourceWatch {
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

  /** Remembers what is about to be read, so that no later change is missed, and looks from now on. */
  async mark(): Promise<void> {
    if (!this.#version) return;
    this.#known = await this.#look();
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
      void this.#look().then((version) => {
        // Files are replaced in steps: none at all is no news.
        if (version !== '' && version !== this.#known) this.#onChange();
        this.#next();
      });
    });
  }

  async #look(): Promise<string> {
    try {
      return (await this.#version?.()) ?? '';
    } catch {
      return '';
    }
  }
}
