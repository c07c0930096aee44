import { LOOK_UP_SELF } from '../auth/token-look-up.js';
import type { ApiRequest } from '../client/api-client.js';
import { background } from '../clock/background.js';
import { sleep, type Clock } from '../clock/clock.js';
import { VaultError } from '../errors/vault-error.js';
import type { Generation } from './generation.js';

/** For so many milliseconds after a login, nodes that follow the leader may not know the token yet. */
const SETTLING = 2_000;
const SETTLING_STEP = 400;

/** A 403 that a dead token would explain. */
export function refusedToken(error: unknown): error is VaultError {
  return error instanceof VaultError && error.code === 'VAULT_TOKEN_INVALID';
}

/** So young that a node may refuse it for not knowing it yet. */
export function isYoung(generation: Generation, clock: Clock): boolean {
  return clock.monotonic() - generation.madeAt <= SETTLING;
}

/** Whether a token that was refused is dead, or only denied: one look-up tells, however many ask. */
export class TokenVerdicts {
  readonly #pending = new Map<Generation, Promise<boolean>>();
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #send: (generation: Generation, request: ApiRequest) => Promise<unknown>;

  constructor(
    context: { clock: Clock; signal: AbortSignal },
    send: (generation: Generation, request: ApiRequest) => Promise<unknown>,
  ) {
    this.#clock = context.clock;
    this.#signal = context.signal;
    this.#send = send;
  }

  isDead(generation: Generation): Promise<boolean> {
    let verdict = this.#pending.get(generation);
    if (!verdict) {
      verdict = background(() => this.#lookUp(generation).finally(() => this.#pending.delete(generation)));
      this.#pending.set(generation, verdict);
    }
    return verdict;
  }

  /** A young token is looked up twice. */
  async #lookUp(generation: Generation): Promise<boolean> {
    if (!(await this.#isRefused(generation))) return false;
    if (!isYoung(generation, this.#clock)) return true;
    try {
      await sleep(this.#clock, SETTLING_STEP, this.#signal);
    } catch {
      return false;
    }
    return this.#isRefused(generation);
  }

  /** A use-limited token that is refused has nothing left; no other answer proves death, a policy's denial least of all. */
  async #isRefused(generation: Generation): Promise<boolean> {
    try {
      await this.#send(generation, { ...generation.place, ...LOOK_UP_SELF, lane: 'vital' });
      return false;
    } catch (error) {
      return refusedToken(error);
    }
  }
}
