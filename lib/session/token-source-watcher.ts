import type { Clock } from '../clock/clock.js';
import type { Scheduler, Task } from '../clock/scheduler.js';

/** Milliseconds. */
const POLL_INTERVAL = 10_000;

/** Polls the source of a token for a change, for example a file that an agent writes. */
export class TokenSourceWatcher {
  readonly #version: (() => Promise<string>) | undefined;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #onChange: () => void;
  #currentVersion = '';
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

  /** The version of the source; '' if there is none. */
  async readVersion(): Promise<string> {
    try {
      return (await this.#version?.()) ?? '';
    } catch {
      return '';
    }
  }

  /** Records the version in use (sampled before the read, so no later change is missed) and starts polling. */
  useVersion(version: string): void {
    if (!this.#version) return;
    this.#currentVersion = version;
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#task?.cancel();
  }

  #next(): void {
    this.#task?.cancel();
    if (this.#closed) return;
    this.#task = this.#scheduler.at(this.#clock.monotonic() + POLL_INTERVAL, () => {
      void this.readVersion().then((version) => {
        // A missing file is no change: some tools delete it before they write the new one.
        if (version !== '' && version !== this.#currentVersion) this.#onChange();
        this.#next();
      });
    });
  }
}
