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
  #ofToken = '';
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

  /** Whether the source is another one than that of the last token. */
  async hasChanged(): Promise<boolean> {
    const version = await this.readVersion(this.#versions());
    return version !== '' && version !== this.#ofToken;
  }

  /**
   * Records the version that a token came from.
   *
   * @param again reads a version that was unknown before the login: one of several methods may know it only now
   */
  granted(version: string, again: () => Promise<string>): void {
    this.#ofToken = version;
    this.useVersion(version);
    if (version === '' && this.#context.options.auth.version)
      void again().then((known) => {
        if (this.#ofToken === '') this.#ofToken = this.#currentVersion = known;
      });
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
    const { clock, scheduler } = this.#context;
    this.#task = scheduler.at(clock.monotonic() + POLL_INTERVAL, () => {
      void this.readVersion(this.#versions()).then((version) => {
        // A missing file is no change: some tools delete it before they write the new one.
        if (version !== '' && version !== this.#currentVersion) this.#onChange();
        this.#next();
      });
    });
  }

  #versions(): VersionContext {
    const { api } = this.#context;
    return {
      lookUp: (token, options) =>
        lookUp((request, as) => api.send({ ...request, lane: 'vital' }, as), token, options),
      clientCertificate: () => api.clientCertificate(),
    };
  }
}
