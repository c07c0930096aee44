import type { Clock } from '../clock/clock.js';
import { isServerUnavailable, type VaultError } from '../errors/vault-error.js';

/** Listener for outages of the server. */
export interface ReachListener {
  /** No working server answers: connection refused, sealed, or without a leader. */
  away(error: VaultError): void;
  /** A server answers again, after so many milliseconds. */
  back(after: number): void;
}

/** Reports each outage once, and its end once, for any number of requests. */
export class Reachability {
  readonly #clock: Clock;
  readonly #listener: ReachListener;
  #since: number | undefined;

  constructor(clock: Clock, listener: ReachListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Records the result of a request. */
  answered(error: VaultError | undefined): void {
    if (error && isServerUnavailable(error)) {
      if (this.#since !== undefined) return;
      this.#since = this.#clock.monotonic();
      return this.#listener.away(error);
    }
    // An error without an answer of the server itself shows neither outage nor recovery.
    const answered = !error || (error.status !== undefined && error.code !== 'VAULT_NOT_VAULT');
    if (this.#since === undefined || !answered) return;
    const after = Math.round(this.#clock.monotonic() - this.#since);
    this.#since = undefined;
    this.#listener.back(after);
  }
}
