import { background } from '../clock/background.js';
import { isTransient, type VaultError } from '../errors/vault-error.js';
import type { EventInit } from '../events/events.js';
import type { Generation } from './generation.js';
import type { SessionContext } from './session-context.js';

const TIMEOUT = 5_000;
/** Milliseconds before a revocation that failed is asked for again. */
const AGAIN = 60_000;

type TokenEndsContext = Pick<SessionContext, 'api' | 'clock' | 'scheduler' | 'emit' | 'options'>;

/** The tokens of a session that are not over, and how they end: never with an error. */
export class TokenEnds {
  readonly #alive = new Set<Generation>();
  /** Shutdown: what fails now is not tried again. */
  #last = false;
  readonly #context: TokenEndsContext;

  constructor(context: TokenEndsContext) {
    this.#context = context;
  }

  add(generation: Generation): void {
    this.#alive.add(generation);
  }

  /** Asks the server to revoke a token that this process made, and with it whatever it leased. */
  end(generation: Generation, timeout = TIMEOUT): Promise<void> {
    // Mostly it is the last request of some caller that lets it go.
    return background(() => this.#end(generation, timeout));
  }

  async #end(generation: Generation, timeout: number): Promise<void> {
    if (!this.#alive.delete(generation)) return;
    const { api, emit, options } = this.#context;
    const { revoke } = options.shutdown;
    const ended = (how: Extract<EventInit, { type: 'token-ended' }>['how']) =>
      emit({ type: 'token-ended', generation: generation.number, how });
    if (!generation.own || !revoke) return ended('given');
    if (!generation.revocable) return ended('batch');
    // What only seems to be over here may live on there: a clock was set, or an answer came late or not at all.
    if (generation.dead && !generation.diedEarly) return ended('expired');
    try {
      const path = 'auth/token/revoke-self';
      const request = {
        ...generation.place,
        method: 'POST',
        path,
        body: {},
        timeout,
        lane: 'vital',
      } as const;
      await api.send(request, generation.token);
      ended('revoke-requested');
    } catch (error) {
      // One that the server does not know is over already.
      if ((error as VaultError).code === 'VAULT_TOKEN_INVALID') return ended('expired');
      ended('revoke-failed');
      if (isTransient(error as VaultError) && !this.#last) this.#later(generation);
    }
  }

  /** Tried again as long as it lives, and at shutdown; at last its TTL ends it. */
  #later(generation: Generation): void {
    const { clock, scheduler } = this.#context;
    this.#alive.add(generation);
    scheduler.at(clock.monotonic() + AGAIN, () => {
      if (generation.grant.deadline.monotonic > clock.monotonic()) void this.end(generation);
      else this.#alive.delete(generation);
    });
  }

  async endAll(timeout: number): Promise<void> {
    this.#last = true;
    await Promise.all([...this.#alive].map((generation) => this.end(generation, timeout)));
  }
}
