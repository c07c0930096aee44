import type { ApiClient } from '../client/api-client.js';
import type { VaultError } from '../errors/vault-error.js';
import type { EventInit } from '../events/events.js';
import type { Generation } from './generation.js';

const TIMEOUT = 5_000;

/** The tokens of a session that are not over, and how they end: once each, and never with an error. */
export class TokenEnds {
  readonly #alive = new Set<Generation>();
  readonly #context: { api: ApiClient; revoke: boolean; emit: (event: EventInit) => void };

  constructor(context: { api: ApiClient; revoke: boolean; emit: (event: EventInit) => void }) {
    this.#context = context;
  }

  add(generation: Generation): void {
    this.#alive.add(generation);
  }

  /** Asks the server to revoke a token that this process made, and with it whatever it leased. */
  async end(generation: Generation, timeout = TIMEOUT): Promise<void> {
    if (!this.#alive.delete(generation)) return;
    const { api, revoke, emit } = this.#context;
    const ended = (how: Extract<EventInit, { type: 'token-ended' }>['how']) =>
      emit({ type: 'token-ended', generation: generation.number, how });
    if (!generation.own || !revoke) return ended('given');
    if (!generation.revocable) return ended('batch');
    // What only seems to be over here may live on there: a clock was set, or an answer came late or not at all.
    if (generation.dead) return ended('expired');
    try {
      const path = 'auth/token/revoke-self';
      await api.send({ ...generation.place, method: 'POST', path, body: {}, timeout }, generation.token);
      ended('revoke-requested');
    } catch (error) {
      // Its TTL ends it then; a batch token can only end so. One that the server does not know is over already.
      ended((error as VaultError).code === 'VAULT_TOKEN_INVALID' ? 'expired' : 'revoke-failed');
    }
  }

  async endAll(timeout: number): Promise<void> {
    await Promise.all([...this.#alive].map((generation) => this.end(generation, timeout)));
  }
}
