import type { Clock } from '../clock/clock.js';
import { isTransient, VaultError } from '../errors/vault-error.js';
import { fingerprint } from '../secret/fingerprint.js';

/** Milliseconds before a refused request is sent again. */
const RESEND_AFTER = 60_000;
/** Refusals of the same request from which on it waits for longer: servers lock a user or role out after five. */
const FEW = 3;
/** Milliseconds for that; servers forget the refusals of a user or role 15 minutes after the last one. */
const SERVER_FORGETS_AFTER = 16 * 60_000;

interface RefusedLogin {
  readonly error: VaultError;
  readonly until: number;
  /** How often the server refused it. */
  readonly times: number;
}

/** Logins that the server refused for their inputs: repeating one would only lock the user or role out. */
export class RefusedLogins {
  readonly #clock: Clock;
  readonly #refused = new Map<string, RefusedLogin>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Sends a login, unless the server refused the same one within the last minute; from its third refusal on, within the
   * last 16 minutes.
   *
   * @param request path, namespace and body
   * @throws the error of that refusal
   */
  async guard<T>(request: unknown, send: () => Promise<T>): Promise<T> {
    this.assertNew(request);
    try {
      return await send();
    } catch (error) {
      if (error instanceof VaultError && isForInputs(error)) {
        const times = (this.#refused.get(fingerprint(request))?.times ?? 0) + 1;
        this.add(request, error, times < FEW ? RESEND_AFTER : SERVER_FORGETS_AFTER, times);
      }
      throw error;
    }
  }

  /** Records that a request is not to be sent again for some milliseconds, and the reason. */
  add(request: unknown, error: VaultError, milliseconds: number, times = 1): void {
    const until = this.#clock.monotonic() + milliseconds;
    this.#refused.set(fingerprint(request), { error, until, times });
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
    const now = this.#clock.monotonic();
    for (const [one, { until }] of this.#refused)
      if (until + SERVER_FORGETS_AFTER <= now) this.#refused.delete(one);
    const before = this.#refused.get(fingerprint(request));
    if (before && before.until > now) throw before.error;
  }
}

/** Some methods answer 500 for wrong inputs. */
function isForInputs(error: VaultError): boolean {
  if (error.code === 'VAULT_LOGIN_INPUT_INVALID' || error.code === 'VAULT_REQUEST_INVALID') return true;
  return error.status === 400 && !isTransient(error);
}
