import type { ClientConfig } from 'pg';
import type { Observable } from 'rxjs';
import type { LoginCredentials } from '../rotation/login-credentials.js';
import { Reports } from '../rotation/reports.js';
import type { Rotation } from '../rotation/rotation.js';
import { connectAgain, leaseClients } from './lease-clients.js';
import { LeasedClient } from './leased-client.js';
import type { LibraryRotationOptions } from './library-options.js';

/** A leased connection in a pool of some library's own, which tells when it hands it out and takes it back. */
export class PooledClient extends LeasedClient {
  /** Until it was in the pool for the first time, somebody waits for it. */
  #idle = false;

  get idle(): boolean {
    return this.#idle;
  }

  /** Handed out; false where it is of no use any more. */
  take(): boolean {
    if (this.superseded || this.ended) return false;
    this.#idle = false;
    return true;
  }

  /** Taken back. */
  giveBack(): void {
    this.#idle = true;
    if (this.superseded) this.#leave();
  }

  /** Newer credentials are in use. */
  supersede(until: Date | undefined): void {
    if (this.#idle) this.#leave();
    else if (until) this.emit('superseded', until);
  }

  /** The pool finds out when it wants to hand it out again. */
  #leave(): void {
    void this.end().catch(() => undefined);
  }
}

/** What is asked of the library. */
interface LibraryPool {
  /** A connection that was in use is closed, and is not to be waited for; not where the library sees to it by itself. */
  takeBack?: (connection: PooledClient) => void;
  /** Called once, where the stream ends. */
  onEnd: () => void;
}

/** Connections with the current credentials, for a library that has a pool of its own. */
export class PooledClients {
  readonly #rotation: Rotation<LeasedClient>;

  /** @param config of one connection: where it goes to */
  constructor(
    credentials$: Observable<LoginCredentials>,
    config: ClientConfig,
    { onRotation, takeBack, onEnd, ...options }: LibraryRotationOptions & LibraryPool,
  ) {
    this.#rotation = leaseClients(credentials$, config, {
      ...options,
      published: () => undefined,
      superseded: (client, until) => (client as PooledClient).supersede(until),
      inUse: (client) => !(client as PooledClient).idle,
      takeBack: (client) => takeBack?.(client as PooledClient),
      reports: new Reports('RotatingPool', (event) => onRotation?.(event)),
      onEnd,
    });
  }

  /** One that is to connect yet. */
  create(config: ClientConfig): PooledClient {
    return new PooledClient(config, this.#rotation);
  }

  /**
   * Runs what makes a connection; once more, where the credentials turn out to be over and there are new ones.
   *
   * @param isRefusal whether an error of it says so, where the library has wrapped it
   */
  connecting<T>(connect: () => Promise<T>, isRefusal?: (error: unknown) => boolean): Promise<T> {
    return connectAgain(this.#rotation, connect, isRefusal);
  }

  get ended(): boolean {
    return this.#rotation.ended;
  }

  /** Why there are no connections any more. */
  get failure(): Error | undefined {
    return this.#rotation.failure;
  }

  /** No more rotations; leases are let go of as the last connections close. */
  end(): void {
    this.#rotation.end();
  }
}
