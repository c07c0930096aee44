import type { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { ConnectionOptions, PoolConnection } from 'mysql2';
import { hide } from '../../secret/hidden.js';
import type { DatabaseCredentials } from '../../services/credentials.service.js';
import type { Era } from '../rotation/era.js';
import { isDoubtful } from './refusal.js';

type Command = EventEmitter & { onResult?: unknown };

/** What mysql2's types leave out. */
interface Protocol {
  addCommand(command: Command): unknown;
  handlePacket(packet?: { buffer: Buffer; offset: number; isError(): boolean }): void;
}

/** One connection of a rotating pool: its socket from the first moment on, mysql2's object once it has logged in. */
export class LeasedConnection {
  readonly era: Era<LeasedConnection>;
  readonly #socket: Duplex;
  #connection: PoolConnection | undefined;
  /** Somebody has checked it out. */
  busy = false;
  /** It is being ended. */
  leaving = false;

  constructor(era: Era<LeasedConnection>, socket: Duplex) {
    this.era = era;
    this.#socket = socket;
  }

  /** It has logged in. */
  adopt(connection: PoolConnection, onDoubt: () => void): void {
    this.#connection = connection;
    const protocol = connection as unknown as Protocol;
    const streams = streamsOf(protocol);
    // mysql2 listens once: a second error of a broken connection would end the process.
    connection.on('error', (error) => {
      // As the server, or a proxy, ends the session of a user who is gone.
      if (!this.leaving) onDoubt();
      // It tells whoever gave it a callback. A stream of rows has none, and would wait for ever; one that was asked for
      // just now has no listener yet.
      setImmediate(() => {
        const told = [...streams];
        streams.clear();
        for (const stream of told) if (stream.listenerCount('error') > 0) stream.emit('error', error);
      });
    });
    const handlePacket = protocol.handlePacket.bind(protocol);
    protocol.handlePacket = (packet) => {
      // Whoever reads it properly does so below: what follows the marker is the number of the error.
      if (packet?.isError() && isDoubtful(packet.buffer.readUInt16LE(packet.offset + 1))) onDoubt();
      handlePacket(packet);
    };
  }

  /** Tells whoever uses it that it will be ended. */
  tell(until: Date | undefined): void {
    if (until) this.#connection?.emit('superseded', until);
  }

  /** Takes it out of the pool and lets the server know; what it does at the moment is finished first. */
  leave(): void {
    if (this.leaving || !this.#connection) return;
    this.leaving = true;
    const { config } = this.#connection as unknown as { config: { gracefulEnd?: boolean } };
    const { gracefulEnd = false } = config;
    // Without it, this would give the connection back to the pool; destroy() counts as aborted at the server.
    config.gracefulEnd = true;
    this.#connection.end();
    config.gracefulEnd = gracefulEnd;
  }

  /**
   * Ends it whatever it does: a query that runs fails. The server finds out when the statement is done, and rolls the
   * transaction back then.
   */
  abort(): void {
    // Not by mysql2's destroy(), after which a query that runs would never be answered.
    this.#socket.destroy();
  }
}

/** What is asked without a callback, and has no end yet; also where mysql2 has changed how it takes commands. */
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

/** As mysql2 does it where it is given no `stream`. */
export function dial(config: ConnectionOptions): Duplex {
  if (config.socketPath) return connect(config.socketPath);
  const socket = connect(config.port as number, config.host as string);
  if (config.enableKeepAlive) {
    socket.on('connect', () => socket.setKeepAlive(true, config.keepAliveInitialDelay));
  }
  return socket.setNoDelay(true);
}

/** Puts user and password where mysql2 reads them when it logs in; no log finds the password. */
export function identify(config: ConnectionOptions, { username, password }: DatabaseCredentials): void {
  config.user = username.reveal();
  hide(config, { password: password.reveal() });
}

/** mysql2 copies the password into the command that logs in, which is there until the server has let it in. */
export function hideLogin(connection: PoolConnection | undefined): void {
  const { _command } = (connection ?? {}) as { _command?: object };
  if (_command) hide(_command, { password: undefined, password1: undefined });
}

/**
 * Takes the password away once it has done its work: mysql2 copies it into each query. Only `changeUser` needs it
 * again.
 */
export function forget(connection: PoolConnection, { username, password }: DatabaseCredentials): void {
  const changeUser = connection.changeUser.bind(connection);
  connection.config.password = undefined;
  connection.changeUser = (options, callback) =>
    changeUser({ user: username.reveal(), password: password.reveal(), ...options }, (error) => {
      connection.config.password = undefined;
      callback?.(error);
    });
}
