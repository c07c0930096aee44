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
    this.assertNew(request);
    try {
      return await send();
    } catch (error) {
      if (error instanceof VaultError && isForInputs(error)) this.add(request, error, RESEND_AFTER);
      throw error;
    }
  }

  /** Records that a request is not to be sent again for some milliseconds, and the reason. */
  add(request: unknown, error: VaultError, milliseconds: number): void {
    this.#refused.set(fingerprint(request), { error, until: this.#clock.monotonic() + milliseconds });
  }

  /** Whether a request is recorded as one not to be sent. */
  has(request: unknown): boolean {
    const { until = 0 } = this.#refused.get(fingerprint(request)) ?? {};
    return until > this.#clock.monotonic();
  }

  /** Forgets a request, which may be sent again at once. */
  forget(request: unknown): void {
    this.#refused.delete(fingerprint(request));
  }

  /** @throws the recorded reason for which a request is not to be sent */
  assertNew(request: unknown): void {
    for (const [one, { until }] of this.#refused)
      if (until <= this.#clock.monotonic()) this.#refused.delete(one);
    const before = this.#refused.get(fingerprint(request));
    if (before) throw before.error;
  }
}

/** Some methods answer 500 for wrong inputs. */
function isForInputs(error: VaultError): boolean {
  return (error.status === 400 && !isTransient(error)) || error.code === 'VAULT_LOGIN_INPUT_INVALID';
}
