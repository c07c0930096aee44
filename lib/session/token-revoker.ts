import { background } from '../clock/background.js';
import { isTransient, type VaultError } from '../errors/vault-error.js';
import type { EventInit } from '../events/events.js';
import type { VaultToken } from './vault-token.js';
import type { SessionContext } from './session-context.js';
import { howToEnd, revocation } from './token-end.js';

const TIMEOUT = 5_000;
/** Milliseconds before a revocation that failed is asked for again. */
const AGAIN = 60_000;

type Ended = Extract<EventInit, { type: 'token-ended' }>['how'];
type TokenEndsContext = Pick<SessionContext, 'api' | 'clock' | 'scheduler' | 'emit' | 'options'>;

/** The tokens of a session that are not over, and how they end: never with an error. */
export class TokenRevoker {
  readonly #alive = new Set<VaultToken>();
  /** Those that the server is asked to revoke, until it answers. */
  readonly #asked = new Set<VaultToken>();
  /** Shutdown: what fails now is not tried again. */
  #last = false;
  readonly #context: TokenEndsContext;

  constructor(context: TokenEndsContext) {
    this.#context = context;
  }

  add(token: VaultToken): void {
    this.#alive.add(token);
  }

  /** Asks the server to revoke a token that this process made, and with it whatever it leased. */
  end(token: VaultToken, timeout = TIMEOUT): Promise<void> {
    // Mostly it is the last request of some caller that lets it go.
    return background(() => this.#end(token, timeout));
  }

  /** Those that the server was not asked to revoke yet, or has not answered for. */
  get left(): VaultToken[] {
    return [...this.#alive, ...this.#asked];
  }

  /** Another thread asked the server to revoke it, as the process ends. */
  revoked(token: VaultToken, status: number): void {
    const before = this.#asked.delete(token);
    this.#alive.delete(token);
    // One that it was asked for before is over by then.
    const done = (status >= 200 && status < 300) || (before && status === 403);
    const how = done ? 'revoke-requested' : 'revoke-failed';
    this.#context.emit({ type: 'token-ended', sequence: token.sequence, how });
  }

  async #end(token: VaultToken, timeout: number): Promise<void> {
    if (!this.#alive.delete(token)) return;
    const { api, emit, options } = this.#context;
    const ended = (how: Ended) => emit({ type: 'token-ended', sequence: token.sequence, how });
    const how = howToEnd(token, options.shutdown.revoke);
    if (how !== 'revoke') return ended(how);
    this.#asked.add(token);
    try {
      await api.send({ ...revocation(token), timeout }, token.value);
      ended('revoke-requested');
    } catch (error) {
      // One that the server does not know is over already.
      if ((error as VaultError).code === 'VAULT_TOKEN_INVALID') return ended('expired');
      ended('revoke-failed');
      if (isTransient(error as VaultError) && !this.#last) this.#later(token);
    } finally {
      this.#asked.delete(token);
    }
  }

  /** Tried again as long as it lives, and at shutdown; at last its TTL ends it. */
  #later(token: VaultToken): void {
    const { clock, scheduler } = this.#context;
    this.#alive.add(token);
    scheduler.at(clock.monotonic() + AGAIN, () => {
      if (token.grant.deadline.monotonic > clock.monotonic()) void this.end(token);
      else this.#alive.delete(token);
    });
  }

  async endAll(timeout: number): Promise<void> {
    this.#last = true;
    await Promise.all([...this.#alive].map((token) => this.end(token, timeout)));
  }
}
