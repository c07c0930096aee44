import { LOOK_UP_SELF } from '../auth/token-look-up.js';
import type { ApiRequest } from '../client/api.types.js';
import { background } from '../clock/background.js';
import { sleep, type Clock } from '../clock/clock.js';
import { VaultError } from '../errors/vault-error.js';
import type { VaultToken } from './vault-token.js';

/** Milliseconds after a login in which standby nodes may not know the token yet. */
const REPLICATION_LAG = 2_000;
const SECOND_LOOK_UP_AFTER = 400;

/** Whether the error is a 403 that an ended token would explain. */
export function refusedToken(error: unknown): error is VaultError {
  return error instanceof VaultError && error.code === 'VAULT_TOKEN_INVALID';
}

/** Whether the token is so new that a node may refuse it because it does not know it yet. */
export function mayBeUnreplicated(token: VaultToken, clock: Clock): boolean {
  return clock.monotonic() - token.madeAt <= REPLICATION_LAG;
}

/** Finds out by a look-up whether a refused token has ended or was only denied. All callers share one look-up. */
export class TokenValidator {
  readonly #pending = new Map<VaultToken, Promise<boolean>>();
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #send: (token: VaultToken, request: ApiRequest) => Promise<unknown>;

  constructor(
    context: { clock: Clock; signal: AbortSignal },
    send: (token: VaultToken, request: ApiRequest) => Promise<unknown>,
  ) {
    this.#clock = context.clock;
    this.#signal = context.signal;
    this.#send = send;
  }

  isDead(token: VaultToken): Promise<boolean> {
    let verdict = this.#pending.get(token);
    if (!verdict) {
      verdict = background(() => this.#lookUp(token).finally(() => this.#pending.delete(token)));
      this.#pending.set(token, verdict);
    }
    return verdict;
  }

  /** A new token is looked up twice. */
  async #lookUp(token: VaultToken): Promise<boolean> {
    if (!(await this.#isRefused(token))) return false;
    if (!mayBeUnreplicated(token, this.#clock)) return true;
    try {
      await sleep(this.#clock, SECOND_LOOK_UP_AFTER, this.#signal);
    } catch {
      return false;
    }
    return this.#isRefused(token);
  }

  /** Only VAULT_TOKEN_INVALID proves that the token has ended (or has no uses left); a policy denial does not. */
  async #isRefused(token: VaultToken): Promise<boolean> {
    try {
      await this.#send(token, { ...token.namespaceOverride, ...LOOK_UP_SELF, lane: 'vital' });
      return false;
    } catch (error) {
      return refusedToken(error);
    }
  }
}
