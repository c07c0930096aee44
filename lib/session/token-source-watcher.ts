import type { VersionContext } from '../auth/auth-method.js';
import type { CheckedLogin } from '../auth/checked-login.js';
import { lookUp } from '../auth/token-look-up.js';
import type { Task } from '../clock/scheduler.js';
import { withTimeout } from '../clock/with-timeout.js';
import type { SessionContext } from './session-context.js';
import type { VaultToken } from './vault-token.js';

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
  readonly #warn: (message: string, code: 'several-agents') => void;
  /** Versions of tokens that an agent attached, oldest first. */
  #attached: readonly string[] = [];
  #currentVersion = '';
  #ofToken = '';
  #severalAgents = false;
  #task: Task | undefined;
  #closed = false;

  constructor(
    context: WatcherContext,
    onChange: () => void,
    warn: (message: string, code: 'several-agents') => void,
  ) {
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
   * Whether several agents, with tokens of their own or without one, answer at the address. Then the refusal of one says
   * nothing of the tokens of the others.
   */
  get severalAgents(): boolean {
    return this.#severalAgents;
  }

  /**
   * Records the version that the token of a login came from.
   *
   * @param previous the token in use until now
   * @returns whether the login brought nothing new: the token in use, or the one of another agent, which served before
   */
  granted(version: string, login: CheckedLogin, previous: VaultToken | undefined): boolean {
    const same = previous?.isOf(login) === true;
    const attached = login.token === undefined;
    const ofAnother = attached && version !== this.#ofToken && this.#attached.includes(version);
    // A refused token that is alive: the refusal came from another agent.
    if (ofAnother || (attached && same && previous.ended)) this.#foundSeveralAgents();
    if (attached)
      this.#attached = [...this.#attached.filter((one) => one !== version), version].slice(-REMEMBERED);
    this.#ofToken = version;
    this.useVersion(version);
    return same || (ofAnother && previous?.ended === false);
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
    this.#task = scheduler.at(clock.monotonic() + POLL_INTERVAL, { run: () => void this.#poll() });
  }

  async #poll(): Promise<void> {
    const version = await this.readVersion(this.#versions());
    // A missing file is no change: some tools delete it before they write the new one.
    if (version !== '' && version !== this.#currentVersion) this.#changedTo(version);
    this.#next();
  }

  #changedTo(version: string): void {
    // The look-up has just shown that an earlier token is valid: it is that of another agent, and no leases end.
    if (this.#attached.includes(version)) this.#foundSeveralAgents();
    else this.#onChange();
  }

  #foundSeveralAgents(): void {
    this.#severalAgents = true;
    this.#warn(
      'Several agents with tokens of their own answer at the address of the connection. Give each application one agent, or the agents one token.',
      'several-agents',
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
