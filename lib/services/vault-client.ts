import { isObject } from '../client/answer-members.js';
import type { ApiResponse } from '../client/api-client.js';
import { encodeApiPath, encodeFolder } from '../client/path.js';
import { checkRequest } from '../client/request-check.js';
import { writeBody } from '../client/request-body.js';
import { malformed } from '../errors/common-errors.js';
import { VaultError } from '../errors/vault-error.js';
import { Secret } from '../secret/secret.js';
import type { Session } from '../session/session.js';

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
  data: Secret<T>;
  /** Empty where nothing was leased. A lease made this way ends with the token; nothing renews it. */
  leaseId: string;
  /** Seconds. */
  leaseDuration: number;
  renewable: boolean;
  warnings: readonly string[];
  /** Where the request made a token (a login, token/create). */
  token?: Secret;
}

/** Options of the shorter forms. */
export type VaultRequestOptions = Omit<VaultRequest, 'method' | 'path' | 'body'>;

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
    return this.requestEncoded({ ...request, path: encode(request.path) });
  }

  /** For paths whose parts were encoded one by one. @internal */
  async requestEncoded<T>({ body, ...request }: VaultRequest): Promise<VaultResponse<T>> {
    // First of all, so that what cannot be sent costs neither a login nor a use of the token.
    const checked = checkRequest(request);
    const json = body === undefined ? {} : { json: writeBody(body, request.path) };
    const response = await this.#session.run<T, ApiResponse<T>>(
      { ...request, ...json, ...checked },
      (answer) => {
        if (!answer.wellFormed) throw malformed(request.path);
        return answer;
      },
    );
    return {
      status: response.status,
      data: new Secret(response.data),
      leaseId: response.leaseId,
      leaseDuration: response.leaseDuration,
      renewable: response.renewable,
      warnings: response.warnings,
      ...(response.auth?.client_token && { token: new Secret(response.auth.client_token) }),
    };
  }

  read<T = unknown>(path: string, options?: VaultRequestOptions): Promise<VaultResponse<T>> {
    return this.request<T>({ ...options, method: 'GET', path });
  }

  write<T = unknown>(path: string, body: unknown, options?: VaultRequestOptions): Promise<VaultResponse<T>> {
    return this.request<T>({ ...options, method: 'POST', path, body });
  }

  /** The names below a path; none where there is nothing. */
  async list(path: string, options?: VaultRequestOptions): Promise<string[]> {
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
    await this.request({ ...options, method: 'DELETE', path });
  }
}
