import { isIP } from 'node:net';
import { checkServerIdentity, type ConnectionOptions } from 'node:tls';
import type { ServerAddress } from './server-address.js';
import { secureContext, type ResolvedTls, type TlsMaterial } from './tls.js';
import { background } from '../clock/background.js';
import { openTunnel } from './tunnel.js';
import { buildConnector, type Connect } from './undici.js';

/** Reports of changed TLS files. */
export interface TlsListener {
  /** The files have new contents, which new connections use. */
  reloaded(files: readonly string[]): void;
  /** The new contents of the files are invalid; the previous ones stay in use. */
  unusable(problems: readonly string[]): void;
}

/** Options that verify the server and present the client certificate, independent of the environment. */
export function tlsConnection(material: TlsMaterial = {}): ConnectionOptions {
  const { ca, cert, pfx, serverName } = material;
  return {
    // Without this option, NODE_TLS_REJECT_UNAUTHORIZED=0 would decide.
    rejectUnauthorized: true,
    ...((ca ?? cert ?? pfx) && { secureContext: secureContext(material) }),
    // Node sends no IP address as server name, and would verify the host of the address instead.
    ...(serverName !== undefined &&
      (isIP(serverName)
        ? { checkServerIdentity: (_host: string, peer) => checkServerIdentity(serverName, peer) }
        : { servername: serverName })),
  };
}

/**
 * Opens the sockets of one connection. Files of the `tls` options are read again for each new socket, as the server
 * might refuse a handshake with their old contents.
 */
export class Connector {
  /** The addresses with a way of their own, by their host. */
  readonly #ways: ReadonlyMap<string, ServerAddress>;
  readonly #tls: ResolvedTls | undefined;
  readonly #timeout: number;
  readonly #listener: TlsListener;
  #material: TlsMaterial | undefined;
  /** Made for the first socket, when undici is loaded, and again for other material. */
  #open: Connect | undefined;
  #reading: Promise<void> | undefined;

  /** @param timeout milliseconds for one socket */
  constructor(
    addresses: readonly ServerAddress[],
    tls: ResolvedTls | undefined,
    timeout: number,
    listener: TlsListener,
  ) {
    const special = addresses.filter(({ socketPath, proxy }) => socketPath !== undefined || proxy);
    this.#ways = new Map(special.map((address) => [new URL(address.origin).host, address]));
    this.#tls = tls;
    this.#timeout = timeout;
    this.#listener = listener;
    this.#material = tls?.material;
  }

  /** The material of the next socket, as last read. */
  get material(): TlsMaterial | undefined {
    return this.#material;
  }

  /**
   * The connect function for undici. Sockets are opened outside of any request, as Node keeps the `AsyncLocalStorage`
   * stores of the opening code for as long as the socket is open.
   */
  readonly connect: Connect = ({ servername: _ofTheHostHeader, ...options }, callback) => {
    background(() => {
      const { socketPath, proxy } = this.#ways.get(options.host as string) ?? {};
      if (socketPath !== undefined)
        return buildConnector({ socketPath, timeout: this.#timeout })(options, callback);
      if (!proxy) return this.#openFresh(options, callback);
      openTunnel(proxy, options, this.#timeout, (failure, socket) => {
        if (failure || !socket) callback(failure as Error, null);
        else if (options.protocol === 'https:') this.#openFresh({ ...options, httpSocket: socket }, callback);
        else callback(null, socket.setNoDelay(true));
      });
    });
  };

  /** Opens a socket with the current contents of the files. */
  #openFresh(...[options, callback]: Parameters<Connect>): void {
    const open = () => (this.#open ??= this.#make())(options, keepFirstError(callback));
    if (this.#tls?.files.length) void this.refresh().then(open, open);
    else open();
  }

  /** Reads the files again, once for all who ask meanwhile. */
  async refresh(): Promise<void> {
    if (!this.#tls?.files.length) return;
    await (this.#reading ??= this.#reread().finally(() => (this.#reading = undefined)));
  }

  async #reread(): Promise<void> {
    const { reread, files } = this.#tls as ResolvedTls;
    const reading = await reread();
    if (!reading) return;
    if ('problems' in reading) return this.#listener.unusable(reading.problems);
    // After invalid contents, the files may have the current ones again.
    if (JSON.stringify(reading.material) === JSON.stringify(this.#material)) return;
    this.#material = reading.material;
    // With a session cache of its own: a resumed session is not verified again.
    this.#open = undefined;
    this.#listener.reloaded(files);
  }

  #make(): Connect {
    return buildConnector({ timeout: this.#timeout, ...tlsConnection(this.#material) });
  }
}

/**
 * In TLS 1.3 a server refuses a client certificate after the handshake: it sends an alert, and closes. undici would
 * report the close instead of the alert.
 */
function keepFirstError(callback: Parameters<Connect>[1]): Parameters<Connect>[1] {
  return (...result) => {
    const [, socket] = result;
    socket?.once('error', () => socket.removeAllListeners('end'));
    callback(...result);
  };
}
