import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import { createServer as createTlsServer, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { answeredHere } from '../../client/answered-here.js';
import { SIMULATED_HEADER } from '../../client/simulated-header.js';
import type { ServerContext } from '../server/server-context.js';
import { exchange } from './exchange.js';
import type { HttpRequest } from './handle-request.js';

const HOST = '127.0.0.1';
const IDENTITY = { [SIMULATED_HEADER]: 'true' };
/** Servers ask each client for a certificate, and leave it to the auth method to verify it. */
const CLIENT_CERTIFICATES = { requestCert: true, rejectUnauthorized: false } satisfies ServerOptions;

/** Node's error for a request that it cannot parse. */
interface ParseError extends Error {
  code?: string;
  rawPacket?: Buffer;
}

/** The certificate of a listening server, and its key: PEM, as text or bytes. @inline */
export interface ServerCertificate {
  cert: string | Buffer;
  key: string | Buffer;
}

/** A simulated server on a port of the loopback interface. */
export class Listener {
  readonly #context: ServerContext;
  readonly #scheme: 'http' | 'https';
  readonly #server: Server;

  /** @param tls speaks TLS with this certificate */
  constructor(server: ServerContext, tls?: ServerCertificate) {
    this.#context = server;
    this.#scheme = tls ? 'https' : 'http';
    const serve = (request: IncomingMessage, response: ServerResponse) => void this.#serve(request, response);
    this.#server = tls ? createTlsServer({ ...tls, ...CLIENT_CERTIFICATES }, serve) : createServer(serve);
    this.#server.on(
      'clientError',
      (error: ParseError, socket: Socket) => void this.#serveList(error, socket),
    );
  }

  /** Resolves with the address, such as `http://127.0.0.1:8200`; of TLS `https://`. */
  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, HOST, () => resolve(void this.#server.off('error', reject)));
    });
    answeredHere.add(this.#origin);
    return this.#origin;
  }

  get #origin(): string {
    return `${this.#scheme}://${HOST}:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    answeredHere.delete(this.#origin);
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    incoming.setEncoding('utf8');
    let body = '';
    try {
      for await (const chunk of incoming) body += chunk as string;
      const { method = '', url = '', socket } = incoming;
      const headers = incoming.headers as Record<string, string | undefined>;
      const request = { method, url, headers, body, ...clientOf(socket) };
      const answer = await exchange(this.#context, request, this.#wait);
      response.writeHead(answer.status, { ...answer.headers, ...IDENTITY }).end(answer.body);
    } catch {
      // A fault makes the connection fail.
      incoming.socket.destroy();
    }
  }

  /**
   * Node's parser does not know the method LIST. Its error carries the bytes of the request, which has no body, so it is
   * answered here. The connection is closed after the answer.
   */
  async #serveList({ code, rawPacket }: ParseError, socket: Socket): Promise<void> {
    let head = rawPacket?.toString('latin1') ?? '';
    if (code !== 'HPE_INVALID_METHOD' || !head.startsWith('LIST ')) {
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n');
      return;
    }
    // Otherwise the parser would fail again on the rest of the request.
    socket.removeAllListeners('data');
    try {
      while (!head.includes('\r\n\r\n')) head += String(await more(socket));
      const answer = await exchange(this.#context, { ...parseHead(head), ...clientOf(socket) }, this.#wait);
      const lines = Object.entries({ ...answer.headers, ...IDENTITY, connection: 'close' }).map(
        ([k, v]) => `${k}: ${v}\r\n`,
      );
      const length = `content-length: ${Buffer.byteLength(answer.body)}\r\n`;
      const status = `HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status] ?? ''}\r\n`;
      socket.end(`${status}${lines.join('')}${length}\r\n${answer.body}`);
    } catch {
      socket.destroy();
    }
  }

  readonly #wait = (milliseconds: number) =>
    new Promise<void>((resolve) => {
      this.#context.clock.setTimer(milliseconds, resolve, true);
    });
}

function more(socket: Socket): Promise<unknown> {
  return new Promise((resolve, reject) => {
    socket.once('data', resolve);
    socket.once('close', () => reject(new Error('closed')));
    socket.resume();
  });
}

/** The client of a connection. */
function clientOf(socket: Socket): Pick<HttpRequest, 'source' | 'certificate'> {
  const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
  return { source: socket.remoteAddress ?? HOST, certificate: certificate?.toString() };
}

function parseHead(head: string): Omit<HttpRequest, 'source' | 'certificate'> {
  const [first = '', ...lines] = head.slice(0, head.indexOf('\r\n\r\n')).split('\r\n');
  const [method = '', url = ''] = first.split(' ');
  const headers = Object.fromEntries(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { method, url, headers, body: '' };
}
