import type { Clock } from '../clock/clock.js';
import { isServerUnavailable, type VaultError } from '../errors/vault-error.js';

/** Listener for outages of the server. */
export interface ReachabilityListener {
  /** Called when no working server answers: connection refused, no answer, sealed, or without a leader. */
  onUnreachable(error: VaultError): void;
  /** Called when a server answers again. `after`: the length of the outage in milliseconds. */
  onRecovered(after: number): void;
}

/** A request that has ended. */
export interface EndedRequest {
  readonly path: string;
  /** Milliseconds. */
  readonly took: number;
  readonly error?: VaultError | undefined;
}

/** A shorter wait for an answer, in milliseconds, shows nothing: the caller may have set its limit too low. */
const PATIENCE = 5_000;
/** Below it, an answer needs no system behind the server. */
const OF_TOKENS = 'auth/token/';
/** Below it, an answer may need that of any mount. */
const OF_LEASES = 'sys/leases/';

/** Reports each outage once, and its end once, for any number of requests. */
export class Reachability {
  readonly #clock: Clock;
  readonly #listener: ReachabilityListener;
  readonly #patience: number;
  #since: number | undefined;
  /** Monotonic time of the last answer. */
  #answeredAt = -Infinity;
  /** The mounts whose requests have got no answer since then. */
  readonly #silent = new Set<string>();

  /** @param timeout milliseconds, of a request without a limit of its own */
  constructor(clock: Clock, timeout: number, listener: ReachabilityListener) {
    this.#clock = clock;
    this.#listener = listener;
    this.#patience = Math.min(timeout, PATIENCE);
  }

  /** Whether the last request that shows it found a working server. */
  get reachable(): boolean {
    return this.#since === undefined;
  }

  /** Records the result of a request. */
  record({ path, took, error }: EndedRequest): void {
    const now = this.#clock.monotonic();
    if (error && (isServerUnavailable(error) || this.#isSilent(error, path, took, now - took))) {
      if (this.#since !== undefined) return;
      this.#since = now;
      return this.#listener.onUnreachable(error);
    }
    // An error that the server itself did not send shows neither an outage nor a recovery.
    if (error && (error.status === undefined || error.code === 'VAULT_NOT_VAULT')) return;
    this.#answeredAt = now;
    this.#silent.clear();
    if (this.#since === undefined) return;
    const after = Math.round(now - this.#since);
    this.#since = undefined;
    this.#listener.onRecovered(after);
  }

  /**
   * Whether a request without an answer shows that the server gives none: it was sent, nothing was answered while it
   * waited, and it is not one mount alone that hangs, such as that of a database.
   */
  #isSilent({ code, outcomeUnknown }: VaultError, path: string, took: number, sentAt: number): boolean {
    if (code !== 'VAULT_TIMEOUT' || !outcomeUnknown) return false;
    if (took < this.#patience || sentAt < this.#answeredAt) return false;
    if (path.startsWith(OF_TOKENS)) return true;
    if (path.startsWith(OF_LEASES)) return false;
    this.#silent.add(path.slice(0, path.indexOf('/')));
    return this.#silent.size > 1;
  }
}
