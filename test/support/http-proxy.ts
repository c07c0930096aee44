import {
  createServer,
  request as forward,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, request as forwardTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Certificate } from './certificates.js';

/** One request as the proxy saw it. */
export interface SeenRequest {
  method: string;
  /** With the query. */
  url: string;
  headers: IncomingMessage['headers'];
  body: string;
  /** Undefined if no answer was sent. */
  status: number | undefined;
  at: number;
}

/** Answers instead of the server; returns false to let the request through. */
export type Fault = (
  request: IncomingMessage,
  response: ServerResponse,
  body: string,
) => boolean | Promise<boolean>;

/** Certificates of a server that asks its clients for theirs. */
export interface MutualTls {
  ca: string;
  caFile: string;
  server: Certificate;
  client: Certificate;
}

/** A reverse proxy on a free port that records every request, and can answer in the server's place. */
export class HttpProxy {
  readonly seen: SeenRequest[] = [];
  /** Called first for each request. */
  fault: Fault | undefined;
  /** Lets the server execute matching requests, then drops the answers. */
  dropAnswer: ((request: IncomingMessage) => boolean) | undefined;
  readonly #server: Server;
  readonly #tls: MutualTls | undefined;

  private constructor(target: string, tls: MutualTls | undefined) {
    this.#tls = tls;
    const handle = (request: IncomingMessage, response: ServerResponse) =>
      void this.#handle(target, request, response);
    this.#server = tls
      ? createTlsServer({ ...keyPair(tls.server), requestCert: true, rejectUnauthorized: false }, handle)
      : createServer(handle);
  }

  /** @param tls the proxy ends TLS, and shows the server the client certificate of a client that has shown one */
  static async start(target: string, tls?: MutualTls): Promise<HttpProxy> {
    const proxy = new HttpProxy(target, tls);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get address(): string {
    return `http${this.#tls ? 's' : ''}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** `METHOD /v1/path` of each request since the last {@link clear}, in order. */
  get requests(): string[] {
    return this.seen.map(({ method, url }) => `${method} ${url}`);
  }

  count(pattern: RegExp): number {
    return this.requests.filter((line) => pattern.test(line)).length;
  }

  clear(): void {
    this.seen.length = 0;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #handle(target: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks).toString();
    const { method = '', url = '', headers } = request;
    const seen: SeenRequest = { method, url, headers, body, status: undefined, at: performance.now() };
    this.seen.push(seen);
    response.on('finish', () => (seen.status = response.statusCode));
    if (this.fault && (await this.fault(request, response, body))) return;
    const upstream = (this.#tls ? forwardTls : forward)(
      target + url,
      { method, headers: { ...headers, host: new URL(target).host }, ...this.#certificates(request) },
      (answer) => {
        if (this.dropAnswer?.(request)) {
          answer.resume();
          response.destroy();
          return;
        }
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      },
    );
    upstream.on('error', () => response.destroy());
    upstream.end(body);
  }

  #certificates({ socket }: IncomingMessage): { ca?: string; cert?: string; key?: string } {
    if (!this.#tls) return {};
    const { ca, client } = this.#tls;
    const shown = socket instanceof TLSSocket && socket.getPeerX509Certificate();
    return { ca, ...(shown && keyPair(client)) };
  }
}

function keyPair({ cert, key }: Certificate) {
  return { cert, key };
}

/** Shorthand for a fault: a JSON answer. */
export function answer(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): true {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
  return true;
}
