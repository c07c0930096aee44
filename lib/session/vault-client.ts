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
 * A request of your own.
 *
 * @publicApi
 */
export interface VaultRequest {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LIST';
  /**
   * Below `/v1/`, taken literally: special characters are encoded; `..`, `?`, `#` and empty parts (as a slash at the start
   * or the end) are refused, and more than 4096 characters. Only the path of a LIST may end in a slash, as folders do.
   */
  path: string;
  query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON; of a PATCH, as `application/merge-patch+json`, unless `headers` name another type. */
  body?: unknown;
  /** Besides those of the connection, and in their place where the names are the same. */
  headers?: Readonly<Record<string, string>>;
  /** Instead of the connection's own, as `team/app`; `root` is the root. An empty one is refused. */
  namespace?: string;
  /**
   * Where the answer is no JSON: a certificate or a CRL in PEM (`text`) or DER (`bytes`), the public key of an SSH
   * engine, metrics. `data` is that text, or a Buffer: `read<string>(path, { responseType: 'text' })`. @default 'json'
   */
  responseType?: 'json' | 'text' | 'bytes';
  /** Milliseconds; never more than the connection's own `timeout`. */
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
   * The `data` of the answer; the whole of one that has no such member (`sys/health`, `sys/seal-status`, a JWKS); null
   * where there is neither.
   */
  data: Secret<T>;
  /** Empty where nothing was leased. A lease made this way ends with the token; nothing renews it. */
  leaseId: string;
  /** Seconds. */
  leaseDuration: number;
  renewable: boolean;
  warnings: readonly string[];
  /** Where the request made a token (a login, token/create). */
  token?: Secret;
  /** All that the answer says of that token, as the server writes it: `accessor`, `lease_duration`, `policies`, … */
  auth?: Secret<Readonly<Record<string, unknown>>>;
  /** Where the answer was wrapped (`X-Vault-Wrap-TTL`): what it can be had by, once. `data` is null then. */
  wrapInfo?: VaultWrapInfo;
}

/**
 * What stands for a wrapped answer.
 *
 * @publicApi
 */
export interface VaultWrapInfo {
  /** Yields the answer at `sys/wrapping/unwrap`, once. */
  token: Secret;
  accessor: string;
  /** Seconds. */
  ttl: number;
  creationTime: Date;
  /** The path that was asked, which whoever unwraps it should check. */
  creationPath: string;
  /** Of the token that the answer holds, where it holds one. */
  wrappedAccessor?: string;
}

/** Options of the shorter forms. */
export type VaultRequestOptions = Omit<VaultRequest, 'method' | 'path' | 'body'>;

/** Answered to anybody, sealed or not, and in no namespace. */
const STATUS = new Set(['sys/health', 'sys/seal-status', 'sys/leader', 'sys/init']);

/**
 * Sends authenticated requests of any kind. For credentials with a lease use `CredentialsService`, for KV
 * `KvService`: they renew, cache and check what this does not.
 *
 * Every method throws `VaultError`; a request that failed as the token had died is repeated once with a new one.
 *
 * @publicApi
 */
export class VaultClient {
  readonly #session: Session;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
  }

  async request<T = unknown>(request: VaultRequest): Promise<VaultResponse<T>> {
    const encode = request.method === 'LIST' ? encodeFolder : encodeApiPath;
    const response = await this.#send<T>({ ...request, path: encode(request.path) });
    return shaped(response, (response.whole ?? response.data) as T);
  }

  /** For paths whose parts were encoded one by one, and answers with `data`. @internal */
  async requestEncoded<T>(request: VaultRequest): Promise<VaultResponse<T>> {
    const response = await this.#send<T>(request);
    return shaped(response, response.data);
  }

  async #send<T>({ body, responseType, ...request }: VaultRequest): Promise<ApiResponse<T>> {
    // First of all, so that what cannot be sent costs neither a login nor a use of the token.
    const checked = checkRequest({ ...request, responseType });
    const json = body === undefined ? {} : { json: writeBody(body, request.path) };
    const raw = responseType === 'text' || responseType === 'bytes' ? { responseType } : {};
    const full: ApiRequest = { ...request, ...json, ...raw, ...checked };
    const take = (answer: ApiResponse<T>) => {
      if (!answer.wellFormed) throw malformed(request.path);
      return answer;
    };
    return request.method === 'GET' && STATUS.has(request.path)
      ? take(await this.#session.ask<T>({ namespace: '', ...full }))
      : this.#session.run<T, ApiResponse<T>>(full, take);
  }

  read<T = unknown>(path: string, options?: VaultRequestOptions): Promise<VaultResponse<T>> {
    return this.request<T>({ ...options, method: 'GET', path });
  }

  write<T = unknown>(path: string, body: unknown, options?: VaultRequestOptions): Promise<VaultResponse<T>> {
    return this.request<T>({ ...options, method: 'POST', path, body });
  }

  /** The names below a path; none where there is nothing. */
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

  async delete(path: string, options?: VaultRequestOptions): Promise<void> {
    refuseWrapping(path, options);
    await this.request({ ...options, method: 'DELETE', path });
  }
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

/** What returns less than an answer would lose the only token that yields what was wrapped. */
function refuseWrapping(path: string, options: VaultRequestOptions | undefined): void {
  const names = Object.keys(options?.headers ?? {}).map((name) => name.toLowerCase());
  if (!names.includes('x-vault-wrap-ttl')) return;
  throw new VaultError({
    code: 'VAULT_REQUEST_INVALID',
    message: `The request at ${path} is not sent: its wrapping token would be lost.`,
    hint: "Use request({ method: 'LIST' | 'DELETE', … }), whose answer has `wrapInfo`.",
    path,
  });
}
