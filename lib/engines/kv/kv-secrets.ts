import { defer, type Observable } from 'rxjs';
import { encodeMount, encodePath } from '../../client/path.js';
import { closed } from '../../errors/common-errors.js';
import { VaultError } from '../../errors/vault-error.js';
import type { SecretStatus } from '../../events/status.js';
import { readKv, type KvReader, type KvReadOptions, type KvSecret } from './read-kv.js';
import { KvWatch, type KvWatchContext, type KvWatchOptions } from './kv-watch.js';

/** The parts of a connection that its KV secrets need. */
export interface KvContext extends KvWatchContext {
  readonly options: KvWatchContext['options'] & { readonly kvVersion: 1 | 2; readonly timeout: number };
  /** Sends a read, with the session's token. */
  readonly ask: KvReader;
  /** Retries transient failures of a job for `budget` milliseconds. */
  readonly retry: <T>(job: () => Promise<T>, budget: number) => Promise<T>;
}

type Versioned<O> = O & { kvVersion?: 1 | 2 };

/** The KV secrets of one connection. All subscribers of the same watched secret share its reads. */
export class KvSecrets {
  readonly #watches = new Map<string, KvWatch<unknown>>();
  readonly #context: KvContext;
  #ended = false;

  constructor(context: KvContext) {
    this.#context = context;
  }

  /** Reads a secret. Transient failures are retried for `budget` milliseconds, by default the request timeout. */
  read<T>(
    path: string,
    options: Versioned<KvReadOptions>,
    budget = this.#context.options.timeout,
  ): Promise<KvSecret<T>> {
    return this.#context.retry(() => this.#readOnce<T>(path, options), budget);
  }

  watch<T>(path: string, options: Versioned<KvWatchOptions>): Observable<KvSecret<T>> {
    return defer(() => {
      if (this.#ended) throw closed(path);
      assertEvery(options.every);
      const { mount = 'secret', kvVersion, every, whenGone } = options;
      const full = `${encodeMount(mount)}/${encodePath(path, 'path')}`;
      const id = JSON.stringify([full, kvVersion, every, whenGone]);
      let watch = this.#watches.get(id) as KvWatch<T> | undefined;
      if (!watch) {
        const how = { mount, ...(kvVersion !== undefined && { kvVersion }) };
        watch = new KvWatch<T>(
          { path: full, mount },
          () => this.#readOnce<T>(path, how),
          options,
          this.#context,
          () => this.#watches.delete(id),
        );
        this.#watches.set(id, watch as KvWatch<unknown>);
      }
      return watch.secret$;
    });
  }

  status(): SecretStatus[] {
    return [...this.#watches.values()].map((watch) => watch.status());
  }

  end(): void {
    this.#ended = true;
    for (const watch of this.#watches.values()) watch.end();
  }

  #readOnce<T>(path: string, options: Versioned<KvReadOptions>): Promise<KvSecret<T>> {
    const { ask, options: defaults } = this.#context;
    return readKv<T>(ask, path, { ...options, kvVersion: options.kvVersion ?? defaults.kvVersion });
  }
}

/** Milliseconds; a number that is meant as seconds, or as "never", would cause one request after another. */
const MIN_INTERVAL = 1_000;

function assertEvery(every = MIN_INTERVAL): void {
  if (Number.isFinite(every) && every >= MIN_INTERVAL) return;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `A KV secret cannot be read again every ${every} milliseconds.`,
    hint: `Give \`every\` in milliseconds, ${MIN_INTERVAL} at least; \`read\` reads once.`,
  });
}
