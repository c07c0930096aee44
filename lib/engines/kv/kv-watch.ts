import { Observable, Subject } from 'rxjs';
import { background } from '../../clock/background.js';
import type { Clock } from '../../clock/clock.js';
import { after, now, remaining, type Deadline } from '../../clock/deadline.js';
import type { KeyedLimiter } from '../../clock/limiter.js';
import type { Scheduler, Task } from '../../clock/scheduler.js';
import { RetryState } from '../../retry/retry-state.js';
import type { ResolvedOptions } from '../../config/resolved-options.js';
import { isTransient, type VaultError, type VaultErrorCode } from '../../errors/vault-error.js';
import type { EventInit } from '../../events/events.js';
import type { SecretStatus } from '../../events/status.js';
import { comparable } from '../../secret/fingerprint.js';
import type { KvReadOptions, KvSecret } from './read-kv.js';

/**
 * Which KV secret to watch, and how.
 *
 * @publicApi
 */
export interface KvWatchOptions extends Omit<KvReadOptions, 'version'> {
  /** Milliseconds between reads, 1000 at least, up to a tenth of it more or less at random. @default 300000 */
  every?: number;
  /**
   * What happens to the value read last where the server says that it is gone (deleted, destroyed, or not allowed
   * any more): `keep` goes on replaying it, `drop` does not until it is back. An outage never drops it.
   * @default 'keep'
   */
  whenGone?: 'keep' | 'drop';
}

/** Five minutes, as other clients do. */
const EVERY = 300_000;
const JITTER = 0.1;
/** By which the server says, with a status, that it is there no more, or no more for this application. */
const GONE = new Set<VaultErrorCode>([
  'VAULT_SECRET_NOT_FOUND',
  'VAULT_SECRET_DELETED',
  'VAULT_SECRET_DESTROYED',
  'VAULT_MOUNT_NOT_FOUND',
  'VAULT_NAMESPACE_NOT_FOUND',
  'VAULT_PERMISSION_DENIED',
]);

/** What a watch needs from the outside. */
export interface KvWatchContext {
  clock: Clock;
  scheduler: Scheduler;
  fetches: KeyedLimiter;
  options: ResolvedOptions;
  random: () => number;
  emit: (event: EventInit) => void;
  changed: () => void;
}

/** One KV secret, read again from time to time as long as somebody watches. */
export class KvWatch<T> {
  readonly #path: string;
  readonly #mount: string;
  readonly #read: () => Promise<KvSecret<T>>;
  readonly #context: KvWatchContext;
  readonly #onUnwatched: () => void;
  readonly #every: number;
  readonly #drops: boolean;
  readonly #tries: RetryState;
  #published = new Subject<KvSecret<T>>();
  #watchers = 0;
  #last: KvSecret<T> | undefined;
  #gone = false;
  #task: Task | undefined;
  #due: Deadline;
  /** Reads that are older than this one come to nothing. */
  #run = 0;

  constructor(
    { path, mount }: { path: string; mount: string },
    read: () => Promise<KvSecret<T>>,
    options: KvWatchOptions,
    context: KvWatchContext,
    onUnwatched: () => void,
  ) {
    this.#onUnwatched = onUnwatched;
    this.#path = path;
    this.#mount = mount;
    this.#read = read;
    this.#context = context;
    this.#every = options.every ?? EVERY;
    this.#drops = options.whenGone === 'drop';
    this.#tries = new RetryState(context);
    this.#due = now(context.clock);
  }

  /** The value read last, and each one that differs; one read at a time, however many subscribe. */
  readonly secret$ = new Observable<KvSecret<T>>((subscriber) => {
    if (this.#last && !(this.#gone && this.#drops)) subscriber.next(this.#last);
    subscriber.add(this.#published.subscribe(subscriber));
    if (this.#watchers++ === 0) this.#poll();
    return () => {
      if (--this.#watchers > 0) return;
      this.#stop();
      this.#onUnwatched();
    };
  });

  status(): SecretStatus {
    const { error, count } = this.#tries;
    const due = Math.max(0, remaining(this.#due, this.#context.clock));
    return {
      path: this.#path,
      state: this.#gone ? 'gone' : !this.#last ? 'pending' : error ? 'degraded' : 'valid',
      ...(this.#last?.version !== undefined && { version: this.#last.version }),
      next: {
        action: 'read',
        at: new Date(this.#context.clock.wall() + due),
        reason: error ? 'retry' : 'poll',
      },
      attempt: count,
      ...(error && { error }),
    };
  }

  /** Completes the stream, as at shutdown. */
  end(): void {
    this.#stop();
    this.#published.complete();
  }

  /** Belongs to no caller, though the first read comes when somebody subscribes. */
  #poll(): void {
    void background(() => this.#readAgain());
  }

  async #readAgain(): Promise<void> {
    const run = ++this.#run;
    try {
      const secret = await this.#context.fetches.run(this.#mount, this.#read);
      if (run === this.#run) this.#take(secret);
    } catch (error) {
      if (run === this.#run) this.#failed(error as VaultError);
    }
    this.#context.changed();
  }

  #take(secret: KvSecret<T>): void {
    const { emit, random } = this.#context;
    this.#tries.succeed();
    const last = this.#last;
    const news = !last || isDifferent(last, secret) || (this.#gone && this.#drops);
    this.#gone = false;
    this.#last = secret;
    this.#wait(this.#every * (1 + JITTER * (2 * random() - 1)));
    if (!news) return;
    const { version } = secret;
    if (last) emit({ type: 'secret-changed', path: this.#path, ...(version !== undefined && { version }) });
    this.#published.next(secret);
  }

  #failed(error: VaultError): void {
    const { emit, clock } = this.#context;
    const retryAt = this.#tries.fail(error);
    const gone = GONE.has(error.code) && error.status !== undefined;
    if (isTransient(error) || (this.#last && !gone)) {
      emit({ type: 'secret-read-failed', path: this.#path, error, retryAt });
      return this.#wait(this.#tries.retryAt - clock.monotonic());
    }
    if (!this.#last) {
      // Waiting cannot help: tell whoever waits, and start afresh when asked again.
      const published = this.#published;
      this.#published = new Subject();
      this.#stop();
      return published.error(error);
    }
    if (!this.#gone) emit({ type: 'secret-gone', path: this.#path, error });
    this.#gone = true;
    this.#wait(this.#every);
  }

  #wait(delay: number): void {
    this.#due = after(now(this.#context.clock), delay);
    this.#sleep();
  }

  /** Where a clock was set, everything that waits is woken, due or not. */
  #sleep(): void {
    const { clock, scheduler } = this.#context;
    this.#task = scheduler.at(this.#due.monotonic, () => {
      if (remaining(this.#due, clock) > 0) this.#sleep();
      else this.#poll();
    });
  }

  /** Nobody watches: whoever comes next gets a fresh one. */
  #stop(): void {
    this.#run++;
    this.#task?.cancel();
    this.#last = undefined;
    this.#gone = false;
    this.#tries.succeed();
  }
}

/** Versions start again where the metadata was deleted, so the time counts too; KV v1 has only the data. */
function isDifferent(a: KvSecret<unknown>, b: KvSecret<unknown>): boolean {
  if (a.version !== undefined) {
    return a.version !== b.version || a.createdAt?.getTime() !== b.createdAt?.getTime();
  }
  return comparable(a.data.reveal()) !== comparable(b.data.reveal());
}
