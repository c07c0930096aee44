import type { SimulatedVault } from './simulated-vault.js';

/** Why a test fails, with what is to be done. */
export function noAnswerTo(requests: readonly string[]): Error {
  return new Error(
    `SimulatedVault has no answer to: ${[...new Set(requests)].join(', ')}. ` +
      'Set up what is asked for, or correct the path; where the request is meant, call clearHistory() before the end.',
  );
}

/** Fails the closing of an application for requests that nothing answered to, each once. */
export class FailingClose {
  readonly #vault: SimulatedVault;
  #seen: readonly string[];
  #from: number;

  constructor(vault: SimulatedVault) {
    this.#vault = vault;
    // A server may serve one application after the other: each answers for its own time.
    this.#seen = vault.unexpected;
    this.#from = this.#seen.length;
  }

  /**
   * Never a hook. Nest 12 only logs what hooks throw, and the test would pass; what is thrown where it looks for the
   * hook makes `close()` reject, as it does in Nest 11.
   */
  get onApplicationShutdown(): undefined {
    const now = this.#vault.unexpected;
    const own = now === this.#seen ? now.slice(this.#from) : now;
    this.#seen = now;
    this.#from = now.length;
    if (own.length > 0) throw noAnswerTo(own);
    return undefined;
  }
}
