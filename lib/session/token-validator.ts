import { LOOK_UP_SELF } from '../auth/token-look-up.js';
import type { ApiRequest } from '../client/api.types.js';
import { background } from '../clock/background.js';
import { sleep, type Clock } from '../clock/clock.js';
import { VaultError } from '../errors/vault-error.js';
import type { VaultToken } from './vault-token.js';

/** For so many milliseconds after a login, nodes that follow the leader may not know the token yet. */
const REPLICATION_LAG = 2_000;
const SETTLING_STEP = 400;

/** A 403 that a dead token would explain. */
export function refusedToken(error: unknown): error is VaultError {
  return error instanceof VaultError && error.code === 'VAULT_TOKEN_INVALID';
}

/** So young that a node may refuse it for not knowing it yet. */
export function mayBeUnreplicated(token: VaultToken, clock: Clock): boolean {
  return clock.monotonic() - token.madeAt <= REPLICATION_LAG;
}

/** Whether a token that was refused is dead, or only denied: one look-up tells, however many ask. */
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

  /** A young token is looked up twice. */
  async #lookUp(token: VaultToken): Promise<boolean> {
    if (!(await this.#isRefused(token))) return false;
    if (!mayBeUnreplicated(token, this.#clock)) return true;
    try {
      await sleep(this.#clock, SETTLING_STEP, this.#signal);
    } catch {
      return false;
    }
    return this.#isRefused(token);
  }

  /** A use-limited token that is refused has nothing left; no other answer proves death, a policy's denial least of all. */
  async #isRefused(token: VaultToken): Promise<boolean> {
    try {
      await this.#send(token, { ...token.namespaceOverride, ...LOOK_UP_SELF, lane: 'vital' });
      return false;
    } catch (error) {
      return refusedToken(error);
    }
  }
}
