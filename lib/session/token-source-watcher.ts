import type { Clock } from '../clock/clock.js';
import type { Scheduler, Task } from '../clock/scheduler.js';
import { withTimeout } from '../clock/with-timeout.js';

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

  /** The version of the source; '' if it is unknown. A method of the application may return anything, or nothing. */
  async readVersion(): Promise<string> {
    if (!this.#version) return '';
    try {
      const reading = Promise.resolve<unknown>(this.#version());
      const tooLong = () => new Error('The version did not come in time.');
      const version = await withTimeout(reading, POLL_INTERVAL, this.#clock, tooLong, false);
      return typeof version === 'string' ? version : '';
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
