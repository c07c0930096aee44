import { isObject } from '../client/answer-members.js';
import type { ApiRequest, ApiResponse, ApiWrapInfo } from '../client/api.types.js';
import { encodeApiPath, encodeFolder } from '../client/path.js';
import { checkRequest } from '../client/request-check.js';
import { writeBody } from '../client/request-body.js';
import { malformed } from '../errors/common-errors.js';
import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import type { Session } from './session.js';

/**
 * A request to any path.
 *
 * @publicApi
 */
export interface VaultRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LIST';
  /**
   * API path below `/v1/`, not encoded: special characters are encoded by the client. Refused are `..`, `?`, `#`, empty
   * parts (also a slash at the start or end), and more than 4096 characters. The path of a LIST may end in a slash.
   */
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON; for a PATCH as `application/merge-patch+json`, unless `headers` has another content type. */
  body?: unknown;
  /** Headers in addition to the connection's own; a header with the same name replaces it. */
  headers?: Readonly<Record<string, string>>;
  /** Namespace instead of the connection's own, for example `team/app`; `root` is the root. Empty text is refused. */
  namespace?: string;
  /**
   * Set it if the answer is not JSON: a certificate or CRL in PEM (`text`) or DER (`bytes`), the public key of an SSH
   * engine, metrics. `data` is then a string or a Buffer: `read<string>(path, { responseType: 'text' })`.
   * @default 'json'
   */
  responseType?: 'json' | 'text' | 'bytes';
  /** Milliseconds; at most the `timeout` of the connection. @default the `timeout` of the connection */
  timeout?: number;
  signal?: AbortSignal;
}

/**
 * A successful answer.
 *
 * @publicApi
 */
export interface VaultResponse<T = unknown> {
  status: number;
  /**
   * The member `data` of the answer. If it has none (`sys/health`, `sys/seal-status`, a JWKS), the whole answer; null
   * if the answer is empty.
   */
  data: Secret<T>;
  /** Empty if there is no lease. The module does not renew a lease from `VaultClient`; it ends with the token. */
  leaseId: string;
  /** Seconds. */
  leaseDuration: number;
  renewable: boolean;
  warnings: readonly string[];
  /** Present if the request created a token (a login, token/create). */
  token?: Secret;
  /** The server's data of that token, unchanged: `accessor`, `lease_duration`, `policies`, … */
  auth?: Secret<Readonly<Record<string, unknown>>>;
  /** Present if the answer was wrapped (`X-Vault-Wrap-TTL`): the token that unwraps it once. `data` is null then. */
  wrapInfo?: VaultWrapInfo;
}

/**
 * The reference to a wrapped answer.
 *
 * @publicApi
 */
export interface VaultWrapInfo {
  /** The wrapping token: `sys/wrapping/unwrap` returns the answer for it, once. */
  token: Secret;
  accessor: string;
  /** Seconds. */
  ttl: number;
  creationTime: Date;
  /** The path of the wrapped request. The consumer that unwraps the answer should check it. */
  creationPath: string;
  /** Accessor of the token in the answer, if it has one. */
  wrappedAccessor?: string;
}

/** Options of `read`, `write`, `list` and `delete`. */
export type VaultRequestOptions = Omit<VaultRequest, 'method' | 'path' | 'body'>;

/** Paths that need no token, exist in no namespace, and that a sealed server answers too. */
const UNAUTHENTICATED = new Set(['sys/health', 'sys/seal-status', 'sys/leader', 'sys/init']);

/**
 * Sends authenticated requests of any kind. Use `CredentialsService` for credentials with a lease and `KvService` for
 * KV: they also renew, cache and check answers.
 *
 * Every method throws `VaultError`. A request that fails because the token has ended is repeated once with a new token.
 *
 * @publicApi
 */
export class VaultClient {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  /** Sends a request of any method; the answer is as the server gave it. */
  async request<T = unknown>(request: VaultRequest): Promise<VaultResponse<T>> {
    const encode = request.method === 'LIST' ? encodeFolder : encodeApiPath;
    const response = await this.#send<T>({ ...request, path: encode(request.path) });
    return shaped(response, (response.whole ?? response.data) as T);
  }

  /** Takes a request of the package, whose path is encoded; the answer has `data`. @internal */
  async requestEncoded<T>(request: ApiRequest): Promise<VaultResponse<T>> {
    const response = await this.#session.run<T, ApiResponse<T>>(request, (answer) => usable(answer, request));
    return shaped(response, response.data);
  }

  async #send<T>({ body, responseType, ...request }: VaultRequest): Promise<ApiResponse<T>> {
    // Before anything else, so that an invalid request costs neither a login nor a use of the token.
    const checked = checkRequest({ ...request, responseType });
    const json = body === undefined ? {} : { json: writeBody(body, request.path) };
    const raw = responseType === 'text' || responseType === 'bytes' ? { responseType } : {};
    const full: ApiRequest = { ...request, ...json, ...raw, ...checked };
    const take = (answer: ApiResponse<T>) => usable(answer, full);
    return request.method === 'GET' && UNAUTHENTICATED.has(request.path)
      ? take(await this.#session.ask<T>({ namespace: '', ...full }))
      : this.#session.run<T, ApiResponse<T>>(full, take);
  }

  /** A GET. */
  read<T = unknown>(path: string, options?: VaultRequestOptions): Promise<VaultResponse<T>> {
    return this.request<T>({ ...options, method: 'GET', path });
  }

  /** A POST. */
  write<T = unknown>(path: string, body: unknown, options?: VaultRequestOptions): Promise<VaultResponse<T>> {
    return this.request<T>({ ...options, method: 'POST', path, body });
  }

  /** The names below a path; an empty list if the path does not exist. */
  async list(path: string, options?: VaultRequestOptions): Promise<string[]> {
    refuseWrapping(path, options);
    try {
      const { data } = await this.request({ ...options, method: 'LIST', path });
      const answer = data.reveal() ?? {};
      const keys = isObject(answer) ? (answer['keys'] ?? []) : undefined;
      if (!Array.isArray(keys) || !keys.every((key) => typeof key === 'string')) throw malformed(path);
      return keys;
    } catch (error) {
      if (error instanceof VaultError && error.code === 'VAULT_SECRET_NOT_FOUND') return [];
      throw error;
    }
  }

  /** A DELETE. */
  async delete(path: string, options?: VaultRequestOptions): Promise<void> {
    refuseWrapping(path, options);
    await this.request({ ...options, method: 'DELETE', path });
  }
}

function usable<T>(answer: ApiResponse<T>, { path }: ApiRequest): ApiResponse<T> {
  if (!answer.wellFormed) throw malformed(path);
  return answer;
}

function shaped<T>(response: ApiResponse<unknown>, data: T): VaultResponse<T> {
  const { status, leaseId, leaseDuration, renewable, warnings, auth, wrapInfo } = response;
  return {
    status,
    data: new Secret(data),
    leaseId,
    leaseDuration,
    renewable,
    warnings,
    ...(auth?.client_token && { token: new Secret(auth.client_token) }),
    ...(auth && { auth: new Secret(auth.whole) }),
    ...(wrapInfo && { wrapInfo: wrapInfoOf(wrapInfo) }),
  };
}

function wrapInfoOf(info: ApiWrapInfo): VaultWrapInfo {
  const { token, accessor, ttl, creation_time: time, creation_path: creationPath } = info;
  const wrappedAccessor = info.wrapped_accessor;
  return {
    token: new Secret(token),
    accessor,
    ttl,
    creationTime: new Date(time),
    creationPath,
    ...(wrappedAccessor !== undefined && { wrappedAccessor }),
  };
}

/** `list` and `delete` return no answer, so a wrapping token in it would be lost. */
function refuseWrapping(path: string, options: VaultRequestOptions | undefined): void {
  const names = Object.keys(options?.headers ?? {}).map((name) => name.toLowerCase());
  if (!names.includes('x-vault-wrap-ttl')) return;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The request to ${path} was not sent, because its wrapping token would be lost.`,
    hint: "Use request({ method: 'LIST' | 'DELETE', … }), whose answer has `wrapInfo`.",
    path,
  });
}
