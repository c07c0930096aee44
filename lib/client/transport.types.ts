import type { ResendReason } from '../events/channels.js';
import type { TlsMaterial } from './tls.js';

/**
 * The sockets for a request: `vital` requests keep a credential in use valid (logins, renewals, look-ups, replacements,
 * revocations), and never wait behind others.
 *
 * @inline
 */
export type Lane = 'ordinary' | 'vital';

/** One HTTP request in its sent form. */
export interface WrittenRequest {
  method: string;
  /** Encoded path below the address, with the leading slash. */
  path: string;
  headers: Record<string, string | readonly string[]>;
  body?: string;
}

/** One HTTP request to the first address that answers. */
export interface TransportRequest extends WrittenRequest {
  /** Timeout of the whole exchange in milliseconds, including waiting times. */
  timeout: number;
  signal?: AbortSignal;
  /** @default 'ordinary' */
  lane?: Lane;
  /** Whether the request is idempotent. @default false */
  repeatable?: boolean;
  /** Called each time that it is sent again, for diagnostics. */
  onResend?: (reason: ResendReason) => void;
}

/** One HTTP answer; the body as text, because a proxy may send HTML instead of JSON, and as raw bytes, if known. */
export interface TransportResponse {
  statusCode: number;
  headers: Record<string, string | string[] | undefined>;
  body: string;
  bytes?: Buffer;
  /** The address of the answer. */
  address: string;
}

/** The route of requests, for a sender in another thread. @inline */
export interface Route {
  /** With the prefix of a proxy; in the order in which they are tried. */
  addresses: readonly string[];
  tls?: TlsMaterial;
  /** The proxy, the headers of requests for a tunnel, and the addresses that it is used for. */
  proxy?: { url: string; headers: Record<string, string>; addresses: readonly string[] };
}

/** Sends one request without retries: the seam at which a simulated server replaces the network. */
export interface Sender {
  /** To wait for before the first request. Rejects if a package that it needs cannot be loaded. */
  readonly loading?: Promise<void> | undefined;
  /** Rejects if no answer came. */
  send(request: TransportRequest): Promise<TransportResponse>;
  /** Undefined if the server is in this thread. */
  readonly route?: Route | undefined;
  /**
   * Reads the client certificate again, which requests from then on present.
   *
   * @returns a text that changes with it; '' if there is none
   */
  clientCertificate?(): Promise<string>;
  /** Closes all sockets. */
  close(): Promise<void>;
}
