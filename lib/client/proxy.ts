import type { Secret } from '../secret/secret.js';

/** The HTTP proxy on the way to some addresses of a connection. */
export interface ResolvedProxy {
  /** Its origin, without user name and password. */
  readonly url: string;
  /** The value of the header that authenticates this client. */
  readonly authorization?: Secret;
  /** The addresses that it is used for. */
  readonly addresses: readonly string[];
}

/** The headers of a request for a tunnel. */
export function tunnelHeaders({ authorization }: ResolvedProxy): Record<string, string> {
  return authorization ? { 'proxy-authorization': authorization.reveal() } : {};
}
