import { defer, from, switchMap, type Observable } from 'rxjs';
import { VaultConnections } from '../connection/vault-connections.js';
import type { KvMetadata, KvMetadataSettings, KvSubkeys } from '../engines/kv/kv-metadata.js';
import type {
  KvDeleteOptions,
  KvOptions,
  KvReadOptions,
  KvSubkeysOptions,
  KvWriteOptions,
} from '../engines/kv/kv-options.js';
import type { KvFolder } from '../engines/kv/kv-watched.js';
import type { KvWatchOptions } from '../engines/kv/kv-watch.js';
import type { KvSecret } from '../engines/kv/read-kv.js';
import type { KvChange } from '../engines/kv/update-kv.js';
import type { KvData, KvWritten } from '../engines/kv/write-kv.js';
import type { StaticSecrets } from '../engines/static-secrets.js';

/**
 * Static secrets of KV engines. The version is `kvVersion` of the call or of the connection, by default 2.
 *
 * A path is relative to the mount: `app/payments`, not `secret/data/app/payments`. It has no slash at its start or end,
 * and is not empty. Only the path of a folder may end in a slash, and `/` is the root of the mount.
 *
 * Every method throws `VaultError`: `VAULT_PERMISSION_DENIED` (the message has the rule for a policy),
 * `VAULT_PATH_INVALID`, `VAULT_REQUEST_INVALID` (invalid arguments, or a method that KV v1 does not have), and those that
 * it names. Transient failures are retried for the `timeout` of the connection, if that does no harm: `docs/kv.md` has
 * the rule for each method. If the server may have executed a change, the error has `outcomeUnknown`.
 *
 * Name the version of the mount: one of version 1 answers `delete`, `undelete`, `destroy`, `writeMetadata` and
 * `deleteMetadata` of version 2 as if they were done, and does nothing.
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
   * Reads a secret.
   *
   * @throws VaultError `VAULT_SECRET_NOT_FOUND` (the secret, or the pinned version), `VAULT_SECRET_DELETED`,
   * `VAULT_SECRET_DESTROYED`
   */
  async read<T = Record<string, unknown>>(path: string, options: KvReadOptions = {}): Promise<KvSecret<T>> {
    return (await this.#secrets(options)).read<T>(path, options);
  }

  /**
   * The names in a folder, those of folders in it with a slash at the end. Secrets whose versions are all deleted are
   * listed, too. An empty list if there is no such folder.
   */
  async list(folder = '/', options: KvOptions = {}): Promise<string[]> {
    return (await this.#secrets(options)).list(folder, options);
  }

  /**
   * Writes all data of a secret, as a new version. With `cas` only if that is the current version.
   *
   * @example
   * const { version } = await kv.read('payments');
   * await kv.write('payments', { apiKey: new Secret(key) }, { cas: version });
   *
   * @throws VaultError `VAULT_CAS_CONFLICT`: nothing was written, and `version` of the error is the current one. It is
   * absent if the secret cannot be read, or the server that answers the read lags behind
   */
  async write(path: string, data: KvData, options: KvWriteOptions = {}): Promise<KvWritten> {
    return (await this.#secrets(options)).write(path, data, options);
  }

  /**
   * Changes the given members of a secret (JSON merge patch): `null` removes a member. KV v2 only.
   *
   * @throws VaultError `VAULT_SECRET_NOT_FOUND`, `VAULT_SECRET_DELETED`, `VAULT_SECRET_DESTROYED` (the latest version has
   * no data to change); `VAULT_CAS_CONFLICT` as {@link write} does
   */
  async patch(path: string, data: KvData, options: KvWriteOptions = {}): Promise<KvWritten> {
    return (await this.#secrets(options)).patch(path, data, options);
  }

  /**
   * Reads a secret, changes it, and writes it if no other writer has written it meanwhile; otherwise again, up to 30
   * times with random pauses. KV v2 only.
   *
   * `change` gets `undefined` if there is no secret, or if its latest version is deleted or destroyed: the new version
   * follows that one. It may run several times. Nothing is written if its result equals the data that was read: such a
   * call is as recent as the read. There is no deadline for the whole call; each request is retried for `timeout`.
   *
   * @example
   * await kv.update<Record<string, string>>('partners', (current) => ({ ...current?.data.reveal(), acme: key }));
   *
   * @throws VaultError `VAULT_CAS_CONFLICT` after 30 conflicts; an error with `outcomeUnknown` if the answer to the write
   * was lost, and the data alone cannot show whether the change was made (a counter); and any error of `change`
   */
  async update<T extends object = Record<string, unknown>>(
    path: string,
    change: KvChange<T>,
    options: KvOptions = {},
  ): Promise<KvWritten> {
    return (await this.#secrets(options)).update<T>(path, change, options);
  }

  /**
   * Deletes the latest version, or the given `versions` (`undefined` is refused). {@link undelete} restores them.
   * In KV v1 it removes the secret. The server reports no error if there is nothing to delete.
   */
  async delete(path: string, options: KvDeleteOptions = {}): Promise<void> {
    return (await this.#secrets(options)).delete(path, options);
  }

  /**
   * Restores deleted versions. KV v2 only. The server reports no error for versions that do not exist or are destroyed.
   */
  async undelete(path: string, versions: readonly number[], options: KvOptions = {}): Promise<void> {
    return (await this.#secrets(options)).undelete(path, versions, options);
  }

  /** Removes the data of versions; no call restores it. KV v2 only. The server reports no error for missing versions. */
  async destroy(path: string, versions: readonly number[], options: KvOptions = {}): Promise<void> {
    return (await this.#secrets(options)).destroy(path, versions, options);
  }

  /**
   * The settings and the versions of a secret. KV v2 only.
   *
   * @throws VaultError `VAULT_SECRET_NOT_FOUND`
   */
  async metadata(path: string, options: KvOptions = {}): Promise<KvMetadata> {
    return (await this.#secrets(options)).metadata(path, options);
  }

  /** Writes settings of a secret; settings that are left out stay as they are. KV v2 only. */
  async writeMetadata(path: string, settings: KvMetadataSettings, options: KvOptions = {}): Promise<void> {
    return (await this.#secrets(options)).writeMetadata(path, settings, options);
  }

  /** Removes a secret with all its versions and its metadata; no call restores them. KV v2 only. */
  async deleteMetadata(path: string, options: KvOptions = {}): Promise<void> {
    return (await this.#secrets(options)).deleteMetadata(path, options);
  }

  /**
   * The keys of a secret, without its values. KV v2 only.
   *
   * @throws VaultError as {@link read} does
   */
  async subkeys(path: string, options: KvSubkeysOptions = {}): Promise<KvSubkeys> {
    return (await this.#secrets(options)).subkeys(path, options);
  }

  /**
   * The latest version of a secret. It is read again every five minutes (`every`) while there are subscribers, and
   * emitted if it differs. After the first value, failures never end the stream; events and the status report them. The
   * stream completes at shutdown. It errors as {@link read} does if the first read fails permanently.
   */
  watch<T = Record<string, unknown>>(path: string, options: KvWatchOptions = {}): Observable<KvSecret<T>> {
    return defer(() => from(this.#secrets(options))).pipe(
      switchMap((secrets) => secrets.watch<T>(path, options)),
    );
  }

  /**
   * The secrets of a folder by their names, without those of folders in it: emitted when all are read, and as a new map
   * when one came, went or changed. A round is one request for the list and one for each secret; it is repeated as
   * {@link watch} repeats its read, and succeeds or fails as a whole. A folder that does not exist is empty. The first
   * round errors if the list or a secret is denied.
   */
  watchFolder<T = Record<string, unknown>>(
    folder: string,
    options: KvWatchOptions = {},
  ): Observable<KvFolder<T>> {
    return defer(() => from(this.#secrets(options))).pipe(
      switchMap((secrets) => secrets.watchFolder<T>(folder, options)),
    );
  }

  async #secrets({ connection }: KvOptions): Promise<StaticSecrets> {
    return (await this.#connections.get(connection)).secrets;
  }
}
