import { request as requestHttp, type RequestOptions } from 'node:http';
import type { Socket } from 'node:net';
import { systemClock } from '../clock/clock.js';
import { tunnelHeaders, type ResolvedProxy } from './proxy.js';
import { errorCode, PROXY_REFUSED, ProxyFailed } from './transport-errors.js';

/** The end of a tunnel, as undici names it. */
interface Target {
  readonly hostname: string;
  readonly protocol: string;
  /** '' for the default port of the protocol. */
  readonly port?: string | number | undefined;
}

/**
 * Opens a tunnel through a proxy: a socket to the target. Not by the agents of undici: they need its index, which replaces
 * the dispatcher of the process, and they read the TLS options of the target once.
 *
 * @param timeout milliseconds
 */
export function openTunnel(
  proxy: ResolvedProxy,
  { hostname, protocol, port }: Target,
  timeout: number,
  callback: (failure: ProxyFailed | null, socket?: Socket) => void,
): void {
  const { hostname: proxyHost, port: proxyPort, protocol: proxyProtocol } = new URL(proxy.url);
  const host = `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port || (protocol === 'https:' ? 443 : 80)}`;
  const options: RequestOptions = {
    method: 'CONNECT',
    host: proxyHost.replace(/^\[|\]$/g, ''),
    port: proxyPort || (proxyProtocol === 'https:' ? 443 : 80),
    path: host,
    headers: { host, ...tunnelHeaders(proxy) },
    agent: false,
  };
  const request =
    proxyProtocol === 'https:'
      ? // Loaded here, because most applications do not use it.
        process.getBuiltinModule('node:https').request({ ...options, rejectUnauthorized: true })
      : requestHttp(options);
  const fail = (code: string, status?: number) => {
    end(new ProxyFailed(code, proxy.url, status));
    request.destroy();
  };
  const cancelTimer = systemClock.setTimer(timeout, () => fail('UND_ERR_CONNECT_TIMEOUT'), true);
  let ended = false;
  const end = (failure: ProxyFailed | null, socket?: Socket) => {
    if (ended) return;
    ended = true;
    cancelTimer();
    callback(failure, socket);
  };
  // Without a listener, Node would throw errors that come later.
  request.on('error', (error) => fail(errorCode(error)));
  request.on('connect', ({ statusCode = 0 }, socket: Socket, head: Buffer) => {
    // No server begins to speak: such content is of the other server, as a page.
    const open = statusCode >= 200 && statusCode < 300 && head.length === 0;
    if (open && !ended) return end(null, socket);
    socket.on('error', () => undefined).destroy();
    fail(PROXY_REFUSED, statusCode);
  });
  request.end();
}
