import type { Socket } from 'node:net';
import pg, { type ClientConfig } from 'pg';
import { apart } from '../../clock/apart.js';
import { hide } from '../../secret/hidden.js';
import { background } from '../../clock/background.js';
import { replaced } from '../rotation/replaced.js';
import type { Era } from '../rotation/era.js';
import type { Rotation } from '../rotation/rotation.js';
import { isDoubtful, watchLogin } from './refusal.js';
import { settleCursor } from './settle-cursor.js';

declare module 'pg' {
  interface ClientBase {
    /** There are newer credentials: the connection will be closed at the given time, if it is still in use. */
    on(event: 'superseded', listener: (until: Date) => void): this;
  }
}

/** pg's own connection, which its types leave out. */
type Protocol = NodeJS.EventEmitter & { stream: Socket };

/** As pg types it, though there is no error where it went well. */
type ConnectCallback = (error: Error) => void;

/** A connection that logs in with the credentials that are current when it is made, and knows them ever after. */
export class LeasedClient extends pg.Client {
  readonly #rotation: Rotation<LeasedClient>;
  #era: Era<LeasedClient> | undefined;
  #connecting = false;
  #loggedIn = false;
  /** We end it, or whoever uses it. */
  #leaving = false;
  #ended = false;

  constructor(config: ClientConfig | undefined, rotation: Rotation<LeasedClient>) {
    super(config);
    this.#rotation = rotation;
    watchLogin(this);
    this.once('end', () => {
      this.#ended = true;
      // As the database, or a pooler, ends the session of a user who is gone.
      if (this.#era && this.#loggedIn && !this.#leaving) rotation.sessionEnded(this.#era);
      this.#close();
    });
    // Whoever uses it learns by the next query that it broke. Most libraries do not listen while they use it, and an
    // error that nobody listens for would end the process.
    this.on('error', () => undefined);
    this.#protocol.on('errorMessage', (error: unknown) => {
      if (this.#era && this.#loggedIn && isDoubtful(error)) rotation.doubt(this.#era);
    });
  }

  /** Made with credentials that are not the current ones any more. */
  get superseded(): boolean {
    return this.#era !== undefined && this.#era !== this.#rotation.current;
  }

  /** Whether it may be lent, as {@link Rotation.lendable} has it. */
  get lendable(): Promise<boolean> | undefined {
    return this.#era && this.#rotation.lendable(this.#era);
  }

  /** When it will be closed, once there is another user. */
  get until(): Date | undefined {
    return this.#era?.until;
  }

  /** Of no use any more; a pool that has it among its idle ones may not know yet. */
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
    if (usable) return this.#begin(usable, callback);
    const { stream } = this.#protocol;
    // The pool's timeout destroys a stream that is not even connected.
    const late = () => callback(new Error('There were no credentials to connect with in time.'));
    stream.once('close', late);
    this.#rotation.ready().then(
      (era) => {
        stream.off('close', late);
        if (!stream.destroyed) this.#begin(era, callback);
      },
      (error: Error) => {
        stream.off('close', late);
        callback(error);
      },
    );
  }

  /** In any of the forms that pg has for it. */
  override query(...args: never[]): never {
    settleCursor(args[0], this);
    return (super.query as (...all: never[]) => never)(...args);
  }

  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(callback?: (error: Error) => void): Promise<void> | void {
    this.#leaving = true;
    return callback ? super.end(callback) : super.end();
  }

  /** Ends it whatever it does: a query that runs fails, and the server rolls its transaction back. */
  abort(): void {
    this.#ended = true;
    // In end(), pg forgets who waits for a connection that is being made; afterwards, it would otherwise emit an error.
    if (this.#connecting) this.#protocol.stream.destroy();
    else void this.end().catch(() => undefined);
  }

  /** The same, of one that is in use: as where a server ends a session, `'error'` comes before `'end'`. */
  cut(): void {
    const connecting = this.#connecting;
    this.abort();
    if (!connecting) apart(() => this.emit('error', replaced()));
  }

  #begin(era: Era<LeasedClient>, callback: ConnectCallback): void {
    this.#era = era;
    // From now on, so that a connection being made is under the hold, too.
    this.#rotation.opened(era, this);
    const user = era.credentials.username.reveal();
    const { connectionParameters } = this as unknown as { connectionParameters: object };
    Object.assign(connectionParameters, { user });
    Object.assign(this, { user });
    hide(this, { password: era.credentials.password.reveal() });
    this.#connecting = true;
    const connected = (error: Error | null) => {
      this.#connecting = false;
      // A connection logs in once.
      hide(this, { password: undefined });
      if (error) {
        this.#rotation.loginFailed(era, error);
        this.#close();
      } else {
        this.#loggedIn = era.used = true;
      }
      callback(error as Error);
    };
    // The socket outlives the request that may be the first to need it.
    background(() => super.connect(connected));
  }

  #close(): void {
    if (this.#era) this.#rotation.closed(this.#era, this);
  }

  get #protocol(): Protocol {
    return (this as unknown as { connection: Protocol }).connection;
  }
}
