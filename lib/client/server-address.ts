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
}

/** The path of a `unix://` address; undefined for other addresses. */
export function socketPathOf(address: string): string | undefined {
  return address.startsWith(UNIX) ? address.slice(UNIX.length) : undefined;
}

/** @param index a number for each address of a connection */
export function serverAddress(address: string, index: number): ServerAddress {
  const socketPath = socketPathOf(address);
  // A socket has no host: this name distinguishes it from the other addresses, and is sent nowhere.
  if (socketPath !== undefined)
    return { name: address, origin: `http://unix-socket-${index}`, prefix: '', socketPath };
  const { origin, pathname } = new URL(address);
  return { name: origin, origin, prefix: pathname.replace(/\/$/, '') };
}
