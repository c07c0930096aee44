import type { ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import { checkDriver } from '../driver/check-driver.js';
import type { LibraryRotationOptions } from '../rotation/library-options.js';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import type { PoolFacade } from '../rotation/pool-facade.js';
import { DEFAULT_DRAIN } from '../rotation/rotation-driver.js';
import { createClientPool } from './client-rotation.js';
import { LeasedClient } from './leased-client.js';

/** A leased client in the pool of a library, which calls {@link lend} and {@link giveBack}. */
export class PooledClient extends LeasedClient {
  /** A new client counts as in use until it is given back for the first time: a caller waits for it. */
  #idle = false;

  get idle(): boolean {
    return this.#idle;
  }

  /** Marks it as in use; false if it must not be used any more. */
  lend(): boolean {
    if (this.superseded || this.ended) return false;
    this.#idle = false;
    return true;
  }

  giveBack(): void {
    this.#idle = true;
    if (this.superseded) this.#close();
  }

  /** Newer credentials are in use: closes it if it is idle, or announces the end of the drain window. */
  supersede(closeAt: Date | undefined): void {
    if (this.#idle) this.#close();
    else if (closeAt) this.emit('superseded', closeAt);
  }

  /** Closes it without the pool, which notices when it is about to lend the client again. */
  #close(): void {
    void this.end().catch(() => undefined);
  }
}

/** The callbacks of the library. */
interface LibraryPool {
  /** A client was closed while in use: the pool must not wait for it. Absent if the library handles that itself. */
  reclaim?: (client: PooledClient) => void;
  /** Called once, when the stream ends. */
  onEnd: () => void;
}

/** Clients with the current credentials, for a library that has a pool of its own. */
export class PooledClients {
  readonly #pool: PoolFacade<LeasedClient>;

  /** @param config address and options of one connection */
  constructor(
    credentials$: Observable<LoginCredentials>,
    config: ClientConfig,
    { drain = DEFAULT_DRAIN, onRotation, reclaim, onEnd }: LibraryRotationOptions & LibraryPool,
  ) {
    checkDriver('pg');
    this.#pool = createClientPool(credentials$, config, {
      drain,
      onSuperseded: (client, closeAt) => (client as PooledClient).supersede(closeAt),
      isInUse: (client) => !(client as PooledClient).idle,
      reclaim: (client) => reclaim?.(client as PooledClient),
      onEvent: (event) => onRotation?.(event),
      onStreamEnd: onEnd,
    });
  }

  /** A client that is not connected yet. */
  create(config: ClientConfig): PooledClient {
    return new PooledClient(config, this.#pool.rotation);
  }

  /**
   * Runs `connect`, and again with newer credentials if the login is rejected.
   *
   * @param isRejection recognises that in an error which the library has wrapped
   */
  connectWithRetry<T>(connect: () => Promise<T>, isRejection?: (error: unknown) => boolean): Promise<T> {
    return this.#pool.connect(connect, isRejection);
  }

  get ended(): boolean {
    return this.#pool.rotation.ended;
  }

  /** The reason why there are no connections any more. */
  get failure(): Error | undefined {
    return this.#pool.rotation.failure;
  }

  /** Ends the rotation; each lease is released when its last connection closes. */
  end(): void {
    this.#pool.rotation.end();
  }
}
