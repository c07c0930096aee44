import type { Clock } from '../clock/clock.js';
import { isUnreached, type VaultError } from '../errors/vault-error.js';

/** Who wants to know whether the server is there. */
export interface ReachListener {
  /** No working server answers: refused, sealed, or without a leader. */
  away(error: VaultError): void;
  /** One answers again, so many milliseconds later. */
  back(after: number): void;
}

/** Tells once when the server goes away, and once when it is back, however many requests find out. */
export class Reach {
  readonly #clock: Clock;
  readonly #listener: ReachListener;
  #since: number | undefined;

  constructor(clock: Clock, listener: ReachListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** A request is over. */
  answered(error: VaultError | undefined): void {
    if (error && isUnreached(error)) {
      if (this.#since !== undefined) return;
      this.#since = this.#clock.monotonic();
      return this.#listener.away(error);
    }
    // Without an answer of the server itself, whatever the error is says neither.
    const answered = !error || (error.status !== undefined && error.code !== 'VAULT_NOT_VAULT');
    if (this.#since === undefined || !answered) return;
    const after = Math.round(this.#clock.monotonic() - this.#since);
    this.#since = undefined;
    this.#listener.back(after);
  }
}
