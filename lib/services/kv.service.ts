import { defer, from, switchMap, type Observable } from 'rxjs';
import { VaultConnections } from '../connection/vault-connections.js';
import type { KvReadOptions, KvSecret } from '../engines/kv/read-kv.js';
import type { KvWatchOptions } from '../engines/kv/kv-watch.js';

/**
 * Static secrets of KV engines. The version is `kvVersion` of the call or of the connection, by default 2.
 *
 * @publicApi
 */
export class KvService {
  readonly #connections: VaultConnections;

  /** @internal */
  constructor(connections: VaultConnections) {
    this.#connections = connections;
  }

  /**
   * Reads a secret. Transient failures are retried for the `timeout` of the connection.
   *
   * @param path relative to the mount: `app/payments`, not `secret/data/app/payments`
   * @throws VaultError `VAULT_SECRET_NOT_FOUND` (the secret, or the pinned version), `VAULT_SECRET_DELETED`,
   * `VAULT_SECRET_DESTROYED`, `VAULT_PERMISSION_DENIED`, `VAULT_PATH_INVALID`
   */
  async read<T = Record<string, unknown>>(
    path: string,
    options: KvReadOptions & { kvVersion?: 1 | 2 } = {},
  ): Promise<KvSecret<T>> {
    const connection = await this.#connections.get(options.connection);
    return connection.secrets.read<T>(path, options);
  }

  /**
   * The latest version of a secret. It is read again every five minutes (`every`) while there are subscribers, and
   * emitted if it differs. After the first value, failures never end the stream; events and the status report them. The
   * stream completes at shutdown. It errors as {@link read} does if the first read fails permanently.
   */
  watch<T = Record<string, unknown>>(
    path: string,
    options: KvWatchOptions & { kvVersion?: 1 | 2 } = {},
  ): Observable<KvSecret<T>> {
    return defer(() => from(this.#connections.get(options.connection))).pipe(
      switchMap((connection) => connection.secrets.watch<T>(path, options)),
    );
  }
}
