import { defer, type Observable } from 'rxjs';
import { encodeMount, encodePath } from '../../client/path.js';
import { closed } from '../../errors/common-errors.js';
import { VaultError } from '../../errors/vault-error.js';
import type { SecretStatus } from '../../events/status.js';
import type { KvReadOptions, KvSecret } from './read-kv.js';
import { KvWatch, type KvWatchContext, type KvWatchOptions } from './kv-watch.js';

type ReadOptions = Omit<KvReadOptions, 'version'> & { kvVersion?: 1 | 2 };

/** The watched KV secrets of one connection. All subscribers of the same secret share its reads. */
export class KvWatchRegistry {
  readonly #watches = new Map<string, KvWatch<unknown>>();
  readonly #context: KvWatchContext;
  #ended = false;
  readonly #read: <T>(path: string, how: ReadOptions) => Promise<KvSecret<T>>;

  constructor(context: KvWatchContext, read: <T>(path: string, how: ReadOptions) => Promise<KvSecret<T>>) {
    this.#context = context;
    this.#read = read;
  }

  watch<T>(path: string, options: KvWatchOptions & { kvVersion?: 1 | 2 }): Observable<KvSecret<T>> {
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
          () => this.#read<T>(path, how),
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
