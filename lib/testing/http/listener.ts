import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { answeredHere } from '../../client/answered-here.js';
import { SIMULATED_HEADER } from '../../client/simulated-header.js';
import type { ServerContext } from '../server/server-context.js';
import { exchange } from './exchange.js';
import type { HttpRequest } from './handle-request.js';

const HOST = '127.0.0.1';
const IDENTITY = { [SIMULATED_HEADER]: 'true' };

/** Node's error for a request that it cannot parse. */
interface ParseError extends Error {
  code?: string;
  rawPacket?: Buffer;
}

/** A simulated server on a port of the loopback interface. */
export class Listener {
  readonly #context: ServerContext;
  readonly #server: Server;

  constructor(server: ServerContext) {
    this.#context = server;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.on(
      'clientError',
      (error: ParseError, socket: Socket) => void this.#serveList(error, socket),
    );
  }

  /** Resolves with the address, such as `http://127.0.0.1:8200`. */
  async listen(port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, HOST, () => resolve(void this.#server.off('error', reject)));
    });
    answeredHere.add(this.#origin);
    return this.#origin;
  }

  get #origin(): string {
    return `http://${HOST}:${(this.#server.address() as AddressInfo).port}`;
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
      const source = socket.remoteAddress ?? HOST;
      const answer = await exchange(this.#context, { method, url, headers, body, source }, this.#wait);
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
      const answer = await exchange(this.#context, parseHead(head, socket.remoteAddress ?? HOST), this.#wait);
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

function parseHead(head: string, source: string): HttpRequest {
  const [first = '', ...lines] = head.slice(0, head.indexOf('\r\n\r\n')).split('\r\n');
  const [method = '', url = ''] = first.split(' ');
  const headers = Object.fromEntries(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  return { method, url, headers, body: '', source };
}
