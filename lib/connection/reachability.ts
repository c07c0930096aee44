import type { Clock } from '../clock/clock.js';
import { isServerUnavailable, type VaultError } from '../errors/vault-error.js';

/** Listener for outages of the server. */
export interface ReachabilityListener {
  /** Called when no working server answers: connection refused, sealed, or without a leader. */
  onUnreachable(error: VaultError): void;
  /** Called when a server answers again. `after`: the length of the outage in milliseconds. */
  onRecovered(after: number): void;
}

/** Reports each outage once, and its end once, for any number of requests. */
export class Reachability {
  readonly #clock: Clock;
  readonly #listener: ReachabilityListener;
  #since: number | undefined;

  constructor(clock: Clock, listener: ReachabilityListener) {
    this.#clock = clock;
    this.#listener = listener;
  }

  /** Whether the last request that shows it found a working server. */
  get reachable(): boolean {
    return this.#since === undefined;
  }

  /** Records the result of a request. */
  record(error: VaultError | undefined): void {
    if (error && isServerUnavailable(error)) {
      if (this.#since !== undefined) return;
      this.#since = this.#clock.monotonic();
      return this.#listener.onUnreachable(error);
    }
    // An error that the server itself did not send shows neither an outage nor a recovery.
    const inconclusive =
      error !== undefined && (error.status === undefined || error.code === 'VAULT_NOT_VAULT');
    if (this.#since === undefined || inconclusive) return;
    const after = Math.round(this.#clock.monotonic() - this.#since);
    this.#since = undefined;
    this.#listener.onRecovered(after);
  }
}
