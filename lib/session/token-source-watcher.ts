import type { VersionContext } from '../auth/auth-method.js';
import { lookUp } from '../auth/token-look-up.js';
import type { Task } from '../clock/scheduler.js';
import { withTimeout } from '../clock/with-timeout.js';
import type { SessionContext } from './session-context.js';

/** Milliseconds. */
const POLL_INTERVAL = 10_000;
/** Milliseconds for one version: a start has to go on without one that does not come. */
const READ_LIMIT = POLL_INTERVAL / 2;

/** Tokens of agents that are remembered. */
const REMEMBERED = 16;

type WatcherContext = Pick<SessionContext, 'api' | 'auth' | 'clock' | 'scheduler'>;

/** Polls the source of a token for a change, for example a file that an agent writes. */
export class TokenSourceWatcher {
  readonly #context: WatcherContext;
  readonly #onChange: () => void;
  readonly #warn: (message: string) => void;
  /** Versions of tokens that an agent attached, oldest first. */
  #attached: readonly string[] = [];
  #currentVersion = '';
  #ofToken = '';
  #task: Task | undefined;
  #closed = false;

  constructor(context: WatcherContext, onChange: () => void, warn: (message: string) => void) {
    this.#context = context;
    this.#onChange = onChange;
    this.#warn = warn;
  }

  /** The version of the source; '' if it is unknown. A method of the application may return anything, or nothing. */
  async readVersion(context: VersionContext): Promise<string> {
    const { auth, clock } = this.#context;
    if (!auth.current.version) return '';
    try {
      const reading = Promise.resolve<unknown>(auth.current.version(context));
      const tooLong = () => new Error('The version did not come in time.');
      const version = await withTimeout(reading, READ_LIMIT, clock, tooLong, false);
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
   * @param attached whether an agent attaches the token
   */
  granted(version: string, attached: boolean): void {
    if (attached) this.#attached = [...this.#attached, version].slice(-REMEMBERED);
    this.#ofToken = version;
    this.useVersion(version);
  }

  /** Records the version in use (sampled before the read, so no later change is missed) and starts polling. */
  useVersion(version: string): void {
    if (!this.#context.auth.current.version) return;
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
        if (version !== '' && version !== this.#currentVersion) this.#changedTo(version);
        this.#next();
      });
    });
  }

  #changedTo(version: string): void {
    if (!this.#attached.includes(version)) return this.#onChange();
    // The look-up has just shown that the earlier token is valid: it is that of another agent, and no leases end.
    this.#warn(
      'Several agents with tokens of their own answer at the address of the connection. Give each application one agent, or the agents one token.',
    );
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
