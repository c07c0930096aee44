import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecure, type ServerOptions } from 'node:https';
import { connect, type AddressInfo, type Socket } from 'node:net';

/** One request for a tunnel. */
export interface SeenTunnel {
  /** Host and port. */
  target: string;
  authorization: string | undefined;
}

/** The whole answer to a request for a tunnel, instead of a tunnel; null: none. */
export type ProxyFault = (target: string) => string | null | undefined;

/** An HTTP proxy on a free port that opens tunnels (CONNECT) to this machine, whatever the name of the target. */
export class ConnectProxy {
  readonly tunnels: SeenTunnel[] = [];
  /** Other requests. */
  readonly requests: string[] = [];
  readonly sockets = new Set<Socket>();
  fault: ProxyFault | undefined;
  readonly #server: Server;
  readonly #scheme: string;

  private constructor(tls?: ServerOptions) {
    this.#scheme = tls ? 'https' : 'http';
    const refuse: RequestListener = (request, response) => {
      this.requests.push(`${request.method} ${request.url}`);
      response.writeHead(400).end();
    };
    this.#server = tls ? createSecure(tls, refuse) : createServer(refuse);
    this.#server.on('connection', (socket: Socket) => this.#keep(socket));
    this.#server.on('connect', ({ url = '', headers }, socket: Socket) => {
      this.tunnels.push({ target: url, authorization: headers['proxy-authorization'] });
      socket.on('error', () => undefined);
      const answer = this.fault?.(url);
      if (answer === null) return void socket.on('end', () => socket.end()).resume();
      if (answer !== undefined) return void socket.end(answer);
      const upstream = this.#keep(connect(Number(url.slice(url.lastIndexOf(':') + 1)), '127.0.0.1'));
      upstream.on('error', () => socket.end('HTTP/1.1 503 Service Unavailable\r\n\r\n'));
      upstream.on('connect', () => {
        socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
        upstream.pipe(socket).pipe(upstream);
      });
      socket.on('close', () => upstream.destroy());
    });
  }

  static async start(tls?: ServerOptions): Promise<ConnectProxy> {
    const proxy = new ConnectProxy(tls);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `${this.#scheme}://${this.host}`;
  }

  /** Ends all tunnels. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #keep(socket: Socket): Socket {
    this.sockets.add(socket.on('close', () => this.sockets.delete(socket)));
    return socket;
  }
}
