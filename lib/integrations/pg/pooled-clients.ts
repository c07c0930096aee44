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

  /** Handed out; false where it is of no use any more. */
  take(): boolean {
    if (this.superseded) return false;
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

/** Connections with the current credentials, for a library that has a pool of its own. */
export class PooledClients {
  readonly #rotation: Rotation<LeasedClient>;

  /**
   * @param config of one connection: where it goes to
   * @param options.onEnd called once, where the stream ends
   */
  constructor(
    credentials$: Observable<LoginCredentials>,
    config: ClientConfig,
    { onRotation, onEnd, ...options }: LibraryRotationOptions & { onEnd: () => void },
  ) {
    this.#rotation = leaseClients(credentials$, config, {
      ...options,
      published: () => undefined,
      superseded: (client, until) => (client as PooledClient).supersede(until),
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

  /** No more rotations; leases are let go of as the last connections close. */
  end(): void {
    this.#rotation.end();
  }
}
