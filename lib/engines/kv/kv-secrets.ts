import { defer, type Observable } from 'rxjs';
import type { KeyedLimiter } from '../../clock/limiter.js';
import { closed } from '../../errors/common-errors.js';
import { VaultError } from '../../errors/vault-error.js';
import { reportOnce } from '../../events/once.js';
import type { SecretStatus } from '../../events/status.js';
import { watchedFolder, watchedSecret, type KvFolder, type KvSource } from './kv-watched.js';
import * as metadata from './kv-metadata.js';
import {
  intervalProblem,
  MIN_INTERVAL,
  type KvDeleteOptions,
  type KvOptions,
  type KvReadOptions,
  type KvSubkeysOptions,
  type KvWriteOptions,
} from './kv-options.js';
import { KvRequests, type KvSender } from './kv-requests.js';
import { folderAt, secretAt, type KvTarget } from './kv-target.js';
import * as versions from './kv-versions.js';
import { KvWatch, type KvWatchContext, type KvWatchOptions, type Watched } from './kv-watch.js';
import { listKv } from './list-kv.js';
import { readKv, type KvSecret } from './read-kv.js';
import { updateKv, type KvChange, type UpdateContext } from './update-kv.js';
import { patchKv, writeKv, type KvData, type KvWritten } from './write-kv.js';

/** The parts of a connection that its KV secrets need. */
export interface KvContext extends KvWatchContext, KvSender, UpdateContext {
  readonly options: KvWatchContext['options'] &
    KvSender['options'] & { readonly kvVersion: 1 | 2; readonly concurrency: number };
  readonly fetches: KeyedLimiter;
}

/** The KV secrets of one connection. All subscribers of the same watched secret share its reads. */
export class KvSecrets {
  readonly #watches = new Map<string, KvWatch<unknown>>();
  readonly #context: KvContext;
  readonly #requests: KvRequests;
  readonly #warn: (message: string) => void;
  /** Present values of secrets that a consumer cannot use, each with the path of its secret. */
  readonly #refused = new Map<object, { path: string; error: VaultError }>();
  #ended = false;

  constructor(context: KvContext) {
    this.#context = context;
    this.#requests = new KvRequests(context);
    this.#warn = reportOnce((message) =>
      context.emit({ type: 'warning', code: 'folder-entry-skipped', message }),
    );
  }

  /** Reads a secret. Transient failures are retried for `budget` milliseconds, by default the request timeout. */
  async read<T>(
    path: string,
    options: KvReadOptions = {},
    budget = this.#context.options.timeout,
  ): Promise<KvSecret<T>> {
    return readKv<T>(this.#requests.within(budget), this.#secret(path, options), options.version);
  }

  async list(folder: string, options: KvOptions = {}): Promise<string[]> {
    return listKv(this.#requests.send, this.#folder(folder, options));
  }

  async write(path: string, data: KvData, options: KvWriteOptions = {}): Promise<KvWritten> {
    return writeKv(this.#requests, this.#secret(path, options), data, options);
  }

  async patch(path: string, data: KvData, options: KvWriteOptions = {}): Promise<KvWritten> {
    return patchKv(this.#requests, this.#secret(path, options), data, options);
  }

  async update<T extends object>(
    path: string,
    change: KvChange<T>,
    options: KvOptions = {},
  ): Promise<KvWritten> {
    return updateKv<T>(this.#requests, this.#secret(path, options), change, this.#context);
  }

  async delete(path: string, options: KvDeleteOptions = {}): Promise<void> {
    return versions.deleteKv(this.#requests, this.#secret(path, options), options);
  }

  async undelete(path: string, numbers: readonly number[], options: KvOptions = {}): Promise<void> {
    return versions.undeleteKv(this.#requests, this.#secret(path, options), numbers);
  }

  async destroy(path: string, numbers: readonly number[], options: KvOptions = {}): Promise<void> {
    return versions.destroyKv(this.#requests, this.#secret(path, options), numbers);
  }

  async metadata(path: string, options: KvOptions = {}): Promise<metadata.KvMetadata> {
    return metadata.metadataOf(this.#requests, this.#secret(path, options));
  }

  async writeMetadata(
    path: string,
    settings: metadata.KvMetadataSettings,
    options: KvOptions = {},
  ): Promise<void> {
    return metadata.writeMetadata(this.#requests, this.#secret(path, options), settings);
  }

  async deleteMetadata(path: string, options: KvOptions = {}): Promise<void> {
    return metadata.deleteMetadata(this.#requests, this.#secret(path, options));
  }

  async subkeys(path: string, options: KvSubkeysOptions = {}): Promise<metadata.KvSubkeys> {
    return metadata.subkeysOf(this.#requests, this.#secret(path, options), options);
  }

  /** @param known the secret as it was read just now, so that the first read comes after the interval; 'absent': there was none */
  watch<T>(
    path: string,
    options: KvWatchOptions = {},
    known?: KvSecret<T> | 'absent',
  ): Observable<KvSecret<T>> {
    return this.#watch(options, () => ({
      ...watchedSecret<T>(this.#source(this.#secret(path, options)), known === 'absent' ? undefined : known),
      ...(known === 'absent' && { absent: true }),
    }));
  }

  watchFolder<T>(folder: string, options: KvWatchOptions = {}): Observable<KvFolder<T>> {
    return this.#watch(options, () => watchedFolder<T>(this.#source(this.#folder(folder, options))));
  }

  status(): SecretStatus[] {
    const refused = new Map([...this.#refused.values()].map(({ path, error }) => [path, error]));
    return [...this.#watches.values()].map((watch) => {
      const status = watch.status();
      const error = refused.get(status.path);
      return error && status.state === 'valid' ? { ...status, state: 'degraded', error } : status;
    });
  }

  /** Records that a consumer cannot use the present value of a secret that it watches, as its schema refuses it. */
  refuse(consumer: object, path: string, options: KvOptions, error: VaultError): void {
    this.#refused.set(consumer, { path: this.#secret(path, options).full, error });
    this.#context.changed();
  }

  /** Records that a consumer can use the present value. */
  accept(consumer: object): void {
    if (this.#refused.delete(consumer)) this.#context.changed();
  }

  end(): void {
    this.#ended = true;
    for (const watch of this.#watches.values()) watch.end();
  }

  #watch<V>(options: KvWatchOptions, describe: () => Watched<V> & { kvVersion: 1 | 2 }): Observable<V> {
    return defer(() => {
      const watched = describe();
      if (this.#ended) throw closed(watched.path);
      const { every, whenGone } = options;
      assertEvery(every);
      const id = JSON.stringify([watched.path, watched.kvVersion, every, whenGone, watched.absent]);
      let watch = this.#watches.get(id) as KvWatch<V> | undefined;
      if (!watch) {
        watch = new KvWatch<V>(watched, options, this.#context, () => this.#watches.delete(id));
        this.#watches.set(id, watch as KvWatch<unknown>);
      }
      return watch.value$;
    });
  }

  /** At most `concurrency` requests at a time for each mount. */
  #source(target: KvTarget): KvSource {
    const { fetches, options } = this.#context;
    return {
      target,
      requests: this.#requests,
      limited: (job) => fetches.run(target.mount, job),
      concurrency: options.concurrency,
      warn: this.#warn,
    };
  }

  #secret(path: string, options: KvOptions): KvTarget {
    return secretAt(path, options, this.#context.options.kvVersion);
  }

  #folder(path: string, options: KvOptions): KvTarget {
    return folderAt(path, options, this.#context.options.kvVersion);
  }
}

function assertEvery(every: number | undefined): void {
  if (intervalProblem(every) === undefined) return;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `A KV secret cannot be read again every ${every} milliseconds.`,
    hint: `Give \`every\` in milliseconds, ${MIN_INTERVAL} at least; \`read\` reads once.`,
  });
}
