import { Injectable } from '@nestjs/common';
import { VaultConnections } from '../connection/vault-connections.js';
import type { KvReadOptions, KvSecret } from './kv.js';

/**
 * Static secrets of KV engines, version 2 unless the connection's `kvVersion` or the call says 1.
 *
 * @publicApi
 */
@Injectable()
export class KvService {
  readonly #connections: VaultConnections;

  constructor(connections: VaultConnections) {
    this.#connections = connections;
  }

  /**
   * Reads a secret. Failures that may pass are retried for the `timeout` of the connection.
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
    return connection.readKv<T>(path, options);
  }
}
