import type { VaultConnection } from '../connection/vault-connection.js';
import { logSlowStart } from '../connection/slow-start.js';
import type { VaultLogger } from '../events/logger.js';

/** A connection that the configuration and a module with the same options object share. */
export class SharedConnection {
  readonly connection: VaultConnection;
  /** The options objects, and functions that return them, of its users. */
  readonly keys = new Set<object>();
  /** Names of values that are watched as long as it lives. */
  readonly watched = new Set<string>();
  readonly #logger: VaultLogger;
  readonly #simulated: boolean;
  #login: Promise<() => number> | undefined;
  #waiting = 0;
  #cancelReport: (() => void) | undefined;
  #owned = false;

  /** @param simulated whether a test has replaced the server */
  constructor(connection: VaultConnection, logger: VaultLogger, simulated: boolean) {
    this.connection = connection;
    this.#logger = logger;
    this.#simulated = simulated;
  }

  /** Whether a module ends the connection, at the shutdown of the application. */
  get owned(): boolean {
    return this.#owned;
  }

  /** A module takes the connection over, whoever opened it. */
  own(name: string, keys: readonly object[]): void {
    this.#owned = true;
    for (const key of keys) this.keys.add(key);
    this.connection.rename(name);
  }

  /** Whether a part of the start waits for the server. */
  get inUse(): boolean {
    return this.#waiting > 0;
  }

  /** Logs in once, unless the login is deferred. Resolves with the rest of `startup.timeout`, in milliseconds. */
  ready(): Promise<() => number> {
    const { login, timeout } = this.connection.startup;
    return (this.#login ??= login === 'required' ? this.connection.login() : Promise.resolve(() => timeout));
  }

  /** Does a part of the start; reports once, for all parts at a time, that the server does not answer. */
  async startUp<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting++ === 0)
      this.#cancelReport = logSlowStart(this.connection, this.#logger, this.#simulated);
    try {
      return await work();
    } finally {
      if (--this.#waiting === 0) this.#cancelReport?.();
    }
  }
}
