/** Requests without an answer; a new array after each clearing of the history. */
interface Unhandled {
  readonly unhandledRequests: readonly string[];
}

/** Error for requests that the simulated server could not answer. */
export function noAnswerTo(requests: readonly string[]): Error {
  return new Error(
    `SimulatedVault has no answer to: ${[...new Set(requests)].join(', ')}. ` +
      'Set up the missing path, or correct it; if the request is intended, call clearHistory() before the end.',
  );
}

/** Makes `app.close()` fail for requests without an answer; each request is reported once. */
export class FailingClose {
  readonly #vault: Unhandled;
  #seen: readonly string[];
  #from: number;

  constructor(vault: Unhandled) {
    this.#vault = vault;
    // A server may serve several applications in turn: each one fails for its own requests only.
    this.#seen = vault.unhandledRequests;
    this.#from = this.#seen.length;
  }

  /**
   * A getter that throws, instead of a hook: Nest 12 only logs errors of hooks, and the test would pass. An error thrown
   * while Nest looks for the hook makes `close()` reject, as errors of hooks do in Nest 11.
   */
  get onApplicationShutdown(): undefined {
    const now = this.#vault.unhandledRequests;
    const own = now === this.#seen ? now.slice(this.#from) : now;
    this.#seen = now;
    this.#from = now.length;
    if (own.length > 0) throw noAnswerTo(own);
    return undefined;
  }
}
