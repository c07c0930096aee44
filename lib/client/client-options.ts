import type { ResolvedProxy } from './proxy.js';
import type { ResolvedTls } from './tls.js';

/** The checked options that the client needs; all others belong to higher rooms. */
export interface ClientOptions {
  /** Name of the connection. */
  readonly name: string;
  readonly addresses: readonly string[];
  readonly allowHttp: boolean;
  readonly namespace?: string;
  /** Sent with every request; names in lower case. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly tls?: ResolvedTls;
  readonly proxy?: ResolvedProxy;
  /** Milliseconds one request may take. */
  readonly timeout: number;
}
