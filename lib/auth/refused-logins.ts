import type { Clock } from '../clock/clock.js';
import { isTransient, VaultError } from '../errors/vault-error.js';
import { fingerprint } from '../secret/fingerprint.js';

/** Milliseconds before a refused request is sent again. */
const RESEND_AFTER = 60_000;

/** Logins that the server refused for their inputs: repeating one would only lock the user or role out. */
export class RefusedLogins {
  readonly #clock: Clock;
  readonly #refused = new Map<string, { error: VaultError; until: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Sends a login, unless the server refused the same one within the last minute.
   *
   * @param request path, namespace and body
   * @throws the error of that refusal
   */
  async guard<T>(request: unknown, send: () => Promise<T>): Promise<T> {
    const id = fingerprint(request);
    for (const [one, { until }] of this.#refused)
      if (until <= this.#clock.monotonic()) this.#refused.delete(one);
    const before = this.#refused.get(id);
    if (before) throw before.error;
    try {
      return await send();
    } catch (error) {
      if (error instanceof VaultError && error.status === 400 && !isTransient(error))
        this.#refused.set(id, { error, until: this.#clock.monotonic() + RESEND_AFTER });
      throw error;
    }
  }
}
