import { createServer as createHttp, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer as createHttps, type ServerOptions } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { token } from '../../lib/auth/token.js';
import type { VaultOptions } from '../../lib/config/options.js';
import type { VaultClient } from '../../lib/session/vault-client.js';
import { closeConnections, connect } from './connect.js';
import { answer } from './http-proxy.js';

/** The token of a {@link client}. */
export const TOKEN = 'hvs.canary-token-6e5d4c3b';
const recorders = new Set<Recorder>();

/** For `afterEach`. */
export async function closeAll(): Promise<void> {
  await closeConnections();
  await Promise.all([...recorders].map((recorder) => recorder.stop()));
}

export const client = (address: string | string[], options: Partial<VaultOptions> = {}) =>
  connect({ address, auth: token(TOKEN), timeout: 2_000, ...options }).connection.client;
/** The token that {@link vault} answers with. */
export const who = async (using: VaultClient) =>
  (await using.read<{ who: string }>('kv1/x')).data.reveal().who;

/** A server of the test's own, which records its requests. */
export class Recorder {
  readonly requests: { line: string; token: unknown; namespace: unknown; host: unknown }[] = [];
  readonly sockets = new Set<Socket>();
  readonly #server: HttpServer;
  readonly #scheme: string;

  private constructor(listener: RequestListener, tls?: ServerOptions) {
    const handle: RequestListener = (request, response) => {
      const { method, url, headers } = request;
      this.requests.push({
        line: `${method} ${url}`,
        token: headers['x-vault-token'],
        namespace: headers['x-vault-namespace'],
        host: headers.host,
      });
      listener(request, response);
    };
    this.#scheme = tls ? 'https' : 'http';
    this.#server = tls ? createHttps(tls, handle) : createHttp(handle);
    this.#server.on('connection', (socket: Socket) => this.sockets.add(socket));
  }

  static async start(listener: RequestListener, tls?: ServerOptions): Promise<Recorder> {
    const recorder = new Recorder(listener, tls);
    recorders.add(recorder);
    await new Promise<void>((resolve) => recorder.#server.listen(0, '127.0.0.1', resolve));
    return recorder;
  }

  /** A server on a Unix socket. */
  static async atSocket(path: string, listener: RequestListener): Promise<Recorder> {
    const recorder = new Recorder(listener);
    recorders.add(recorder);
    await new Promise<void>((resolve) => recorder.#server.listen(path, resolve));
    return recorder;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `${this.#scheme}://127.0.0.1:${this.port}`;
  }

  get lines(): string[] {
    return this.requests.map(({ line }) => line);
  }

  async stop(): Promise<void> {
    recorders.delete(this);
    this.#server.closeAllConnections();
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
/** Answers as Vault would: a token that never expires, and `who` as the data of everything else. */
export const vault =
  (who: string): RequestListener =>
  (request, response) => {
    const lookup = request.url?.endsWith('lookup-self');
    answer(response, 200, { data: lookup ? { ttl: 0, renewable: false, num_uses: 0 } : { who } });
  };
export const status =
  (code: number, body: unknown, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) =>
    void answer(response, code, body, headers);
export const redirect = (to: string): RequestListener => status(307, '', { location: to });
