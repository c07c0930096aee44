import type { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, PoolConnection } from 'mysql2';
import { hide } from '../../secret/hidden.js';
import type { PoolGeneration } from '../rotation/pool-generation.js';
import { suggestsDroppedUser } from './rejection.js';
import type { UserCredentials } from '../../leases/user-credentials.js';

type Command = EventEmitter & { onResult?: unknown };

/** Members that mysql2's types leave out. */
interface Protocol {
  addCommand(command: Command): unknown;
  handlePacket(packet?: { buffer: Buffer; offset: number; isError(): boolean }): void;
}

/** One connection of a rotating pool: its socket from the start, mysql2's object once it has logged in. */
export class LeasedConnection {
  readonly generation: PoolGeneration<LeasedConnection>;
  readonly #socket: Duplex;
  #connection: PoolConnection | undefined;
  /** It is checked out. */
  busy = false;
  /** It is being closed. */
  closing = false;

  constructor(generation: PoolGeneration<LeasedConnection>, socket: Duplex) {
    this.generation = generation;
    this.#socket = socket;
  }

  /**
   * Takes over mysql2's object after the login.
   *
   * @param onSuspicion called after an error that a dropped user may have caused
   */
  adopt(connection: PoolConnection, onSuspicion: () => void): void {
    this.#connection = connection;
    const protocol = connection as unknown as Protocol;
    const streams = streamsOf(protocol);
    // mysql2 listens once; a second error of a broken connection would end the process.
    connection.on('error', (error) => {
      // The server, or a proxy, may have closed the session because its user was dropped.
      if (!this.closing) onSuspicion();
      // mysql2 rejects commands with a callback. A stream of rows has none and would stay pending. Deferred, as a stream
      // that was requested in this tick has no listener yet.
      setImmediate(() => {
        const pending = [...streams];
        streams.clear();
        for (const stream of pending) if (stream.listenerCount('error') > 0) stream.emit('error', error);
      });
    });
    const handlePacket = protocol.handlePacket.bind(protocol);
    protocol.handlePacket = (packet) => {
      // The number of the error follows the marker. mysql2 parses the packet afterwards.
      if (packet?.isError() && suggestsDroppedUser(packet.buffer.readUInt16LE(packet.offset + 1)))
        onSuspicion();
      handlePacket(packet);
    };
  }

  /** Announces to the application that it will be closed. */
  announceClose(closeAt: Date | undefined): void {
    if (closeAt) this.#connection?.emit('superseded', closeAt);
  }

  /** Removes it from the pool and closes it after its current command, with a message to the server. */
  close(): void {
    if (this.closing || !this.#connection) return;
    this.closing = true;
    const { config } = this.#connection as unknown as { config: { gracefulEnd?: boolean } };
    const { gracefulEnd = false } = config;
    // Without gracefulEnd, end() would give the connection back to the pool; the server counts destroy() as aborted.
    config.gracefulEnd = true;
    this.#connection.end();
    config.gracefulEnd = gracefulEnd;
  }

  /**
   * Closes it at once: a running query fails. The server notices after the statement, and rolls the transaction back.
   */
  abort(): void {
    // After mysql2's destroy(), a running query would stay pending.
    this.#socket.destroy();
  }
}

/**
 * Commands without a callback that have not ended; also after mysql2 replaces `addCommand`, as it does while it
 * closes.
 */
function streamsOf(protocol: Protocol): Set<Command> {
  const streams = new Set<Command>();
  let add = protocol.addCommand.bind(protocol);
  const tracked = (command: Command) => {
    if (!command.onResult) {
      streams.add(command);
      command.once('end', () => streams.delete(command));
    }
    return add(command);
  };
  Object.defineProperty(protocol, 'addCommand', {
    get: () => tracked,
    set(value: Protocol['addCommand']) {
      add = value.bind(protocol);
    },
  });
  return streams;
}

/** Opens a socket as mysql2 does without the option `stream`. */
export function openSocket(config: ConnectionOptions): Duplex {
  if (config.socketPath) return connect(config.socketPath);
  const socket = connect(config.port as number, config.host as string);
  if (config.enableKeepAlive) {
    socket.on('connect', () => socket.setKeepAlive(true, config.keepAliveInitialDelay));
  }
  return socket.setNoDelay(true);
}

/** Puts user and password where mysql2 reads them at the login, the password in a form that does not print. */
export function setCredentials(config: ConnectionOptions, { username, password }: UserCredentials): void {
  config.user = username.reveal();
  hide(config, { password: password.reveal() });
}

/** Hides the password in the login command: mysql2 copies it there, and keeps the command until the login is done. */
export function hideLogin(connection: PoolConnection | undefined): void {
  const { _command } = (connection ?? {}) as { _command?: object };
  if (_command) hide(_command, { password: undefined, password1: undefined });
}

/** Removes the password after the login, as mysql2 copies it into each query. Only `changeUser` needs it again. */
export function removePassword(connection: PoolConnection, { username, password }: UserCredentials): void {
  const changeUser = connection.changeUser.bind(connection);
  connection.config.password = undefined;
  connection.changeUser = (options, callback) =>
    changeUser({ user: username.reveal(), password: password.reveal(), ...options }, (error) => {
      connection.config.password = undefined;
      callback?.(error);
    });
}
