import type { VersionContext } from '../auth/auth-method.js';
import { lookUp } from '../auth/token-look-up.js';
import type { Task } from '../clock/scheduler.js';
import { withTimeout } from '../clock/with-timeout.js';
import type { SessionContext } from './session-context.js';

/** Milliseconds. */
const POLL_INTERVAL = 10_000;

type WatcherContext = Pick<SessionContext, 'api' | 'clock' | 'options' | 'scheduler'>;

/** Polls the source of a token for a change, for example a file that an agent writes. */
export class TokenSourceWatcher {
  readonly #context: WatcherContext;
  readonly #onChange: () => void;
  #currentVersion = '';
  #task: Task | undefined;
  #closed = false;

  constructor(context: WatcherContext, onChange: () => void) {
    this.#context = context;
    this.#onChange = onChange;
  }

  /** The version of the source; '' if it is unknown. A method of the application may return anything, or nothing. */
  async readVersion(context: VersionContext): Promise<string> {
    const { clock, options } = this.#context;
    if (!options.auth.version) return '';
    try {
      const reading = Promise.resolve<unknown>(options.auth.version(context));
      const tooLong = () => new Error('The version did not come in time.');
      const version = await withTimeout(reading, POLL_INTERVAL, clock, tooLong, false);
      return typeof version === 'string' ? version : '';
    } catch {
      return '';
    }
  }

  /** Records the version in use (sampled before the read, so no later change is missed) and starts polling. */
  useVersion(version: string): void {
    if (!this.#context.options.auth.version) return;
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
    const { api, clock, scheduler } = this.#context;
    const context: VersionContext = {
      lookUp: (token, options) =>
        lookUp((request, as) => api.send({ ...request, lane: 'vital' }, as), token, options),
    };
    this.#task = scheduler.at(clock.monotonic() + POLL_INTERVAL, () => {
      void this.readVersion(context).then((version) => {
        // A missing file is no change: some tools delete it before they write the new one.
        if (version !== '' && version !== this.#currentVersion) this.#onChange();
        this.#next();
      });
    });
  }
}
