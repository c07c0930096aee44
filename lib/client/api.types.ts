import type { Deadline } from '../clock/deadline.js';
import type { VaultTaskMessage } from '../events/channels.js';
import type { Explain } from './failed-response.js';
import type { Lane } from './transport.types.js';

/** One API request of the package. */
export interface ApiRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LIST';
  /** Encoded path below `/v1/`. */
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** The body, sent as JSON. */
  body?: unknown;
  /** Instead of `body`: serialised JSON. */
  json?: string;
  /** Namespace instead of the connection's own. */
  namespace?: string;
  /** The form of an answer that may not be JSON. */
  responseType?: 'text' | 'bytes';
  /** The namespace of the token, if it differs from the connection's. */
  tokenNamespace?: string;
  /** Headers checked by {@link checkRequest}. */
  headers?: Readonly<Record<string, string>>;
  /** Timeout in milliseconds; at most that of the connection, or `limit`. */
  timeout?: number;
  /** Milliseconds instead of the `timeout` of the connection, for a request that waits for a person. */
  limit?: number | undefined;
  signal?: AbortSignal;
  /** Whether the server itself must answer: a cache would return credentials that another client has or had. */
  uncached?: boolean;
  /** Capabilities that a policy must grant for it. @default by the method */
  capabilities?: readonly string[];
  /** Explains a refusal of this request. */
  explain?: Explain;
  /** `vital` if a credential in use depends on the request. @default 'ordinary' */
  lane?: Lane;
  /** The path without names, for diagnostics. @default by the known forms of paths */
  template?: string;
  /** The login or issue that the request is a part of, for diagnostics. */
  task?: VaultTaskMessage | undefined;
}

/** A Vault answer with status 2xx. */
export interface ApiResponse<T = unknown> {
  status: number;
  data: T;
  auth: ApiAuth | null;
  /** The wrapping token of a wrapped answer. */
  wrapInfo?: ApiWrapInfo | undefined;
  /** The whole of an answer without an envelope. */
  whole?: unknown;
  leaseId: string;
  /** Seconds. */
  leaseDuration: number;
  renewable: boolean;
  warnings: readonly string[];
  /** Type of the answering secrets engine or auth method; HashiCorp Vault only. */
  mountType: string | undefined;
  /** Time of the request, or at which a cache got the answer: durations in the answer count from it. */
  sentAt: Deadline;
  /** Whether the members on lease and token have valid types; invalid ones are left out. */
  wellFormed: boolean;
  /** The id of the request in the server's audit log. */
  requestId?: string;
  /** Whether a cache answered, so that the server executed nothing for this request. */
  cached: boolean;
}

/** The `auth` member of a login or a token renewal. */
export interface ApiAuth {
  client_token: string;
  accessor: string;
  /** Seconds. */
  lease_duration: number;
  renewable: boolean;
  token_type?: string;
  num_uses?: number;
  policies?: readonly string[];
  /** All members of the answer, including the token. */
  whole: Readonly<Record<string, unknown>>;
}

/** The `wrap_info` of a wrapped answer. */
export interface ApiWrapInfo {
  token: string;
  accessor: string;
  /** Seconds. */
  ttl: number;
  creation_time: string;
  creation_path: string;
  wrapped_accessor?: string;
}
