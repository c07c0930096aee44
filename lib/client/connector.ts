import { isIP } from 'node:net';
import { checkServerIdentity, createSecureContext, type ConnectionOptions } from 'node:tls';
import type { ResolvedTls, TlsMaterial } from '../config/tls.js';
import { background } from '../clock/background.js';
import { buildConnector, type Connect } from './undici.js';

/** What is reported of TLS files that changed. */
export interface TlsListener {
  /** Files were read again; new connections are made with what they hold now. */
  reloaded(files: readonly string[]): void;
  /** What the files hold now cannot be used; what they held before stays in use. */
  unusable(problems: readonly string[]): void;
}

/** What verifies the server and shows the client, whatever the environment of the process says. */
export function tlsConnection(material: TlsMaterial = {}): ConnectionOptions {
  const { ca, cert, key, passphrase, serverName } = material;
  return {
    // NODE_TLS_REJECT_UNAUTHORIZED=0 decides where this is left out.
    rejectUnauthorized: true,
    ...((ca || cert) && { secureContext: createSecureContext({ ca: ca && [...ca], cert, key, passphrase }) }),
    // Node sends no IP address as a name, and would verify the host of the address in its place.
    ...(serverName !== undefined &&
      (isIP(serverName)
        ? { checkServerIdentity: (_host: string, peer) => checkServerIdentity(serverName, peer) }
        : { servername: serverName })),
  };
}

/**
 * Opens the sockets of one connection. Where the `tls` options name files, these are read again for each new socket: a
 * handshake with what they held before might be refused by now.
 */
export class Connector {
  readonly #tls: ResolvedTls | undefined;
  readonly #timeout: number;
  readonly #listener: TlsListener;
  #material: TlsMaterial | undefined;
  #open: Connect;
  #reading: Promise<void> | undefined;

  /** @param timeout milliseconds for one socket */
  constructor(tls: ResolvedTls | undefined, timeout: number, listener: TlsListener) {
    this.#tls = tls;
    this.#timeout = timeout;
    this.#listener = listener;
    this.#material = tls?.material;
    this.#open = this.#make();
  }

  /** What the next socket is opened with, as far as it is known. */
  get material(): TlsMaterial | undefined {
    return this.#material;
  }

  /**
   * As undici calls it. Each socket belongs to no request: Node keeps the `AsyncLocalStorage` stores that it was opened
   * with for as long as it is open.
   */
  readonly connect: Connect = ({ servername: _ofTheHostHeader, ...options }, callback) => {
    background(() => {
      const open = () => this.#open(options, keepFirstError(callback));
      if (this.#tls?.files.length) void this.#refresh().then(open, open);
      else open();
    });
  };

  /** Reads the files again, once for all sockets that are opened at the time. */
  #refresh(): Promise<void> {
    this.#reading ??= this.#reread().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #reread(): Promise<void> {
    const { reread, files } = this.#tls as ResolvedTls;
    const reading = await reread();
    if (!reading) return;
    if ('problems' in reading) return this.#listener.unusable(reading.problems);
    // They may hold again what is in use, after something that was not.
    if (JSON.stringify(reading.material) === JSON.stringify(this.#material)) return;
    this.#material = reading.material;
    // With a cache of its own: a session that is resumed is verified no more.
    this.#open = this.#make();
    this.#listener.reloaded(files);
  }

  #make(): Connect {
    return buildConnector({ timeout: this.#timeout, ...tlsConnection(this.#material) });
  }
}

/**
 * In TLS 1.3 a server refuses a client certificate after the handshake: it sends an alert, and closes. undici would
 * report the end in the place of the alert.
 */
function keepFirstError(callback: Parameters<Connect>[1]): Parameters<Connect>[1] {
  return (...result) => {
    const [, socket] = result;
    socket?.once('error', () => socket.removeAllListeners('end'));
    callback(...result);
  };
}
