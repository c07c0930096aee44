import type { Socket } from 'node:net';
import pg, { type ClientConfig } from 'pg';
import { runIsolated } from '../../clock/run-isolated.js';
import { background } from '../../clock/background.js';
import { hide } from '../../secret/hidden.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { supersededError } from '../rotation/rotation-errors.js';
import type { Rotation } from '../rotation/rotation.js';
import { suggestsDroppedUser, watchLogin } from './rejection.js';
import { settleCursor } from './settle-cursor.js';

declare module 'pg' {
  interface ClientBase {
    /** Newer credentials are in use: the connection will be closed at the given time if it is still in use then. */
    on(event: 'superseded', listener: (closeAt: Date) => void): this;
  }
}

/** pg's own connection, which its types leave out. */
type Protocol = NodeJS.EventEmitter & { stream: Socket };

/** As pg types it; there is no error after a success. */
type ConnectCallback = (error: Error) => void;

/** A client that logs in with the credentials that are current when it connects, and belongs to their generation. */
export class LeasedClient extends pg.Client {
  readonly #rotation: Rotation<LeasedClient>;
  #generation: PoolGeneration<LeasedClient> | undefined;
  #connecting = false;
  #loggedIn = false;
  /** The pool or the application is closing it. */
  #closing = false;
  #ended = false;

  constructor(config: ClientConfig | undefined, rotation: Rotation<LeasedClient>) {
    super(config);
    this.#rotation = rotation;
    watchLogin(this);
    this.once('end', () => {
      this.#ended = true;
      // PostgreSQL, or a pooler in between, may have closed the session because its user was dropped.
      if (this.#generation && this.#loggedIn && !this.#closing) rotation.sessionEnded(this.#generation);
      this.#connectionClosed();
    });
    // Most libraries do not listen while they use a client; an error without a listener would end the process. The next
    // query reports the broken connection.
    this.on('error', () => undefined);
    this.#protocol.on('errorMessage', (error: unknown) => {
      if (this.#generation && this.#loggedIn && suggestsDroppedUser(error))
        rotation.verifyCurrent(this.#generation);
    });
  }

  /** Whether newer credentials are in use. */
  get superseded(): boolean {
    return this.#generation !== undefined && this.#generation !== this.#rotation.current;
  }

  /** Whether it may be lent, as {@link Rotation.checkLendable}. */
  checkLendable(): Promise<boolean> | undefined {
    return this.#generation && this.#rotation.checkLendable(this.#generation);
  }

  /** The time at which it will be closed, once credentials of another user are in use. */
  get closeAt(): Date | undefined {
    return this.#generation?.closeAt;
  }

  /** Whether it is closed or closing; a pool that has it idle may not have noticed yet. */
  get ended(): boolean {
    return this.#ended;
  }

  override connect(): Promise<pg.Client>;
  override connect(callback: ConnectCallback): void;
  override connect(callback?: ConnectCallback): Promise<pg.Client> | void {
    if (!callback) {
      return new Promise((resolve, reject) => {
        this.connect((error: Error | null) => (error ? reject(error) : resolve(this)));
      });
    }
    const { usable } = this.#rotation;
    if (usable) return this.#connectAs(usable, callback);
    const { stream } = this.#protocol;
    // The timeout of pg's pool destroys the stream, even one that is not connected.
    const timedOut = () => callback(new Error('There were no credentials to connect with in time.'));
    stream.once('close', timedOut);
    this.#rotation.ready().then(
      (generation) => {
        stream.off('close', timedOut);
        if (!stream.destroyed) this.#connectAs(generation, callback);
      },
      (error: Error) => {
        stream.off('close', timedOut);
        callback(error);
      },
    );
  }

  /** Accepts every signature of pg's `query`. */
  override query(...args: never[]): never {
    settleCursor(args[0], this);
    return (super.query as (...all: never[]) => never)(...args);
  }

  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    this.#closing = true;
    return callback ? super.end(callback) : super.end();
  }

  /** Closes it at once: a running query fails, and the server rolls its transaction back. */
  abort(): void {
    this.#ended = true;
    // During a login, end() would drop the callback of connect(); after it, destroying the stream would emit an error.
    if (this.#connecting) this.#protocol.stream.destroy();
    else void this.end().catch(() => undefined);
  }

  /** Closes a client in use at once. Emits `'error'` before `'end'`, as pg does if the server closes a session. */
  abortInUse(): void {
    const connecting = this.#connecting;
    this.abort();
    if (!connecting) runIsolated(() => this.emit('error', supersededError()));
  }

  #connectAs(generation: PoolGeneration<LeasedClient>, callback: ConnectCallback): void {
    this.#generation = generation;
    // Recorded before it connects, so that the lease is held during the login.
    this.#rotation.connectionOpened(generation, this);
    const user = generation.credentials.username.reveal();
    const { connectionParameters } = this as unknown as { connectionParameters: object };
    Object.assign(connectionParameters, { user });
    Object.assign(this, { user });
    hide(this, { password: generation.credentials.password.reveal() });
    this.#connecting = true;
    const connected = (error: Error | null) => {
      this.#connecting = false;
      // A connection logs in once, so the password is not needed again.
      hide(this, { password: undefined });
      if (error) {
        this.#rotation.loginFailed(generation, error);
        this.#connectionClosed();
      } else {
        this.#loggedIn = generation.used = true;
      }
      callback(error as Error);
    };
    // The socket outlives the request that opens it.
    background(() => super.connect(connected));
  }

  #connectionClosed(): void {
    if (this.#generation) this.#rotation.connectionClosed(this.#generation, this);
  }

  get #protocol(): Protocol {
    return (this as unknown as { connection: Protocol }).connection;
  }
}
