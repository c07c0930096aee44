import { background } from '../clock/background.js';
import { isTransient, type VaultError } from '../errors/vault-error.js';
import type { EventInit } from '../events/events.js';
import type { VaultToken } from './vault-token.js';
import type { SessionContext } from './session-context.js';
import { howToEnd, revocation } from './token-end.js';

const TIMEOUT = 5_000;
/** Milliseconds before a failed revocation is sent again. */
const RETRY_DELAY = 60_000;

type Ended = Extract<EventInit, { type: 'token-ended' }>['how'];
type TokenRevokerContext = Pick<SessionContext, 'api' | 'clock' | 'scheduler' | 'emit' | 'options'>;

/** Revokes the tokens of a session. Never throws; an event reports how a token ended. */
export class TokenRevoker {
  readonly #alive = new Set<VaultToken>();
  /** Tokens whose revocation was sent and not answered yet. */
  readonly #pending = new Set<VaultToken>();
  /** During shutdown a failed revocation is not retried. */
  #shuttingDown = false;
  readonly #context: TokenRevokerContext;

  constructor(context: TokenRevokerContext) {
    this.#context = context;
  }

  add(token: VaultToken): void {
    this.#alive.add(token);
  }

  /** Revokes a token of this process, and with it all its leases. */
  revoke(token: VaultToken, timeout = TIMEOUT): Promise<void> {
    // Usually the last request of a caller releases the token.
    return background(() => this.#end(token, timeout));
  }

  /** Tokens that are not known to be revoked. */
  get unrevoked(): VaultToken[] {
    return [...this.#alive, ...this.#pending];
  }

  /** Records the revocation that another thread sent at the end of the process. */
  revoked(token: VaultToken, status: number): void {
    const before = this.#pending.delete(token);
    this.#alive.delete(token);
    // A 403 after an earlier revocation request means that the earlier one took effect.
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
    this.#pending.add(token);
    try {
      await api.send({ ...revocation(token), timeout }, token.value);
      ended('revoke-requested');
    } catch (error) {
      // The server does not know the token: it has ended.
      if ((error as VaultError).code === 'VAULT_TOKEN_INVALID') return ended('expired');
      ended('revoke-failed');
      if (isTransient(error as VaultError) && !this.#shuttingDown) this.#retryLater(token);
    } finally {
      this.#pending.delete(token);
    }
  }

  /** Retries while the token lives, and once at shutdown. If all attempts fail, the TTL ends the token. */
  #retryLater(token: VaultToken): void {
    const { clock, scheduler } = this.#context;
    this.#alive.add(token);
    const run = () => {
      if (token.grant.deadline.monotonic > clock.monotonic()) void this.revoke(token);
      else this.#alive.delete(token);
    };
    scheduler.at(clock.monotonic() + RETRY_DELAY, { run });
  }

  async revokeAll(timeout: number): Promise<void> {
    this.#shuttingDown = true;
    await Promise.all([...this.#alive].map((token) => this.revoke(token, timeout)));
  }
}
