import type { ResolvedProxy } from './proxy.js';

const UNIX = 'unix://';

/** One address of the options, as the transport uses it. */
export interface ServerAddress {
  /** Its name in errors and events: an origin, or the address of a socket. */
  readonly name: string;
  /** An origin for undici: each has sockets of its own. */
  readonly origin: string;
  /** The path at which a gateway serves the API, or ''. */
  readonly prefix: string;
  /** The path of a Unix socket. */
  readonly socketPath?: string;
  readonly proxy?: ResolvedProxy;
}

/** The path of a `unix://` address; undefined for other addresses. */
export function socketPathOf(address: string): string | undefined {
  return address.startsWith(UNIX) ? address.slice(UNIX.length) : undefined;
}

/** The addresses of a connection, each with the way to it. */
export function serverAddresses(
  addresses: readonly string[],
  proxy: ResolvedProxy | undefined,
): readonly ServerAddress[] {
  return addresses.map((address, index) => {
    const socketPath = socketPathOf(address);
    // A socket has no host: this name distinguishes it from the other addresses, and is sent nowhere.
    if (socketPath !== undefined)
      return { name: address, origin: `http://unix-socket-${index}`, prefix: '', socketPath };
    const { origin, pathname } = new URL(address);
    const prefix = pathname.replace(/\/$/, '');
    return { name: origin, origin, prefix, ...(proxy?.addresses.includes(address) && { proxy }) };
  });
}
