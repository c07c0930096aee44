import { map, Observable, Subject as Stream } from 'rxjs';
import { after, now, remaining, type Deadline } from '../../clock/deadline.js';
import { isTransient, type VaultError, type VaultErrorCode } from '../../errors/vault-error.js';
import type { EventInit } from '../../events/events.js';
import type { SecretStatus } from '../../events/status.js';
import { Lifecycle, type LifecycleContext, type Subject } from '../../lifetime/lifecycle.js';
import type { KvOptions } from './kv-options.js';

/**
 * Options for watching a KV secret or a folder.
 *
 * @publicApi
 */
export interface KvWatchOptions extends KvOptions {
  /** Milliseconds between reads, 1000 at least, up to a tenth of it more or less at random. @default 300000 */
  every?: number;
  /**
   * The use of the last value after the server has reported that the secret is gone (deleted, destroyed, or not allowed
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

/** The parts of a connection that a watch needs. */
export interface KvWatchContext extends LifecycleContext {
  readonly emit: (event: EventInit) => void;
  readonly changed: () => void;
}

/** A value of KV that can be watched: a secret, or a folder of them. */
export interface Watched<V> {
  /** With its mount. */
  readonly path: string;
  /** The value as it was read just now, so that the first read comes after the interval. */
  readonly known?: V;
  /** The server has just answered that there is none: the watch waits for it, and does not fail. */
  readonly absent?: boolean;
  /** @param isOver whether no subscriber is left */
  readonly read: (isOver: () => boolean) => Promise<V>;
  /** A copy for one subscriber, which no other one shares. */
  readonly copy: (value: V) => V;
  readonly isDifferent: (one: V, other: V) => boolean;
  readonly versionOf: (value: V) => number | undefined;
}

interface Read {
  action: 'read';
  in: number;
}

/** A value of KV, read again at intervals as long as it has subscribers. */
export class KvWatch<V> implements Subject<Read> {
  readonly #watched: Watched<V>;
  readonly #context: KvWatchContext;
  readonly #onUnwatched: () => void;
  readonly #every: number;
  readonly #drops: boolean;
  readonly #life: Lifecycle<Read>;
  readonly #published = new Stream<V>();
  #watchers = 0;
  #last: V | undefined;
  #due: Deadline;

  /** @param onUnwatched called once, when the last subscriber has left or the first read has failed for good */
  constructor(
    watched: Watched<V>,
    options: KvWatchOptions,
    context: KvWatchContext,
    onUnwatched: () => void,
  ) {
    this.#onUnwatched = onUnwatched;
    this.#watched = watched;
    this.#context = context;
    this.#every = options.every ?? EVERY;
    this.#drops = options.whenGone === 'drop';
    this.#life = new Lifecycle(context, this);
    this.#due = now(context.clock);
    if (watched.known) this.#onRead(watched.known);
    if (watched.absent) {
      this.#wait(this.#every);
      this.#life.signal('ended');
    }
  }

  /** The value read last, and each one that differs; one read at a time for all subscribers. */
  readonly value$ = new Observable<V>((subscriber) => {
    const { copy } = this.#watched;
    // Counted before it gets a value: in its first one it may make the other subscribers leave, or leave itself.
    const first = this.#watchers++ === 0;
    subscriber.add(() => {
      if (--this.#watchers === 0) this.#release();
    });
    if (this.#last && !(this.#gone && this.#drops)) subscriber.next(copy(this.#last));
    subscriber.add(this.#published.pipe(map(copy)).subscribe(subscriber));
    if (first) this.#life.wake();
  });

  status(): SecretStatus {
    const { error, count } = this.#life.retry;
    const due = Math.max(0, remaining(this.#due, this.#context.clock));
    const version = this.#last && this.#watched.versionOf(this.#last);
    return {
      path: this.#watched.path,
      state: this.#state,
      ...(version !== undefined && { version }),
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
    this.#close();
    this.#published.complete();
  }

  plan(): Read {
    return { action: 'read', in: Math.max(0, remaining(this.#due, this.#context.clock)) };
  }

  async run(): Promise<void> {
    try {
      const value = await this.#watched.read(() => this.#life.phase === 'closed');
      if (this.#life.phase !== 'closed') this.#onRead(value);
    } catch (error) {
      if (this.#life.phase !== 'closed') this.#onFailed(error as VaultError);
    }
  }

  onStatusChange(): void {
    this.#context.changed();
  }

  get #state(): SecretStatus['state'] {
    const inUse = this.#life.retry.error ? 'degraded' : 'valid';
    // Its consumers use a default instead.
    if (!this.#last) return this.#watched.absent ? inUse : 'pending';
    return this.#gone ? 'gone' : inUse;
  }

  /** The server has reported that the secret is gone. */
  get #gone(): boolean {
    return this.#life.phase === 'ended';
  }

  #onRead(value: V): void {
    const { emit, random } = this.#context;
    const { path, isDifferent, versionOf } = this.#watched;
    const last = this.#last;
    const news = !last || isDifferent(last, value) || (this.#gone && this.#drops);
    const recovered = this.#life.retry.error !== undefined;
    this.#life.succeed();
    this.#life.signal('granted');
    this.#last = value;
    this.#wait(this.#every * (1 + JITTER * (2 * random() - 1)));
    const version = versionOf(value);
    const event = { path, ...(version !== undefined && { version }) };
    if (recovered) emit({ type: 'secret-recovered', ...event });
    if (!news) return;
    if (last) emit({ type: 'secret-changed', ...event });
    this.#published.next(value);
  }

  #onFailed(error: VaultError): void {
    const { emit } = this.#context;
    const { path } = this.#watched;
    const retryAt = this.#life.fail('renewal', error);
    const gone = GONE.has(error.code) && error.status !== undefined;
    const waitsFor = !this.#last && gone && this.#watched.absent === true;
    if (isTransient(error) || (this.#last && !gone)) {
      this.#wait(this.#life.retry.remaining);
      return emit({ type: 'secret-read-failed', path, error, retryAt, attempt: this.#life.retry.count });
    }
    if (!this.#last && !waitsFor) {
      // Waiting cannot help: the subscribers get the error, and the next subscription starts afresh.
      if (this.#life.retry.count > 1) this.#release();
      else this.#close();
      return this.#published.error(error);
    }
    if (waitsFor && error.code !== 'VAULT_PERMISSION_DENIED') this.#life.succeed();
    this.#wait(this.#every);
    if (!waitsFor && !this.#gone) emit({ type: 'secret-gone', path, error });
    this.#life.signal('ended');
  }

  /** Its deadline is on both clocks, unlike the delay of a retry. */
  #wait(delay: number): void {
    this.#due = after(now(this.#context.clock), delay);
    this.#life.retryWithin(0);
  }

  #release(): void {
    const { phase } = this.#life;
    this.#close();
    if (phase !== 'closed') this.#context.emit({ type: 'released', path: this.#watched.path });
  }

  #close(): void {
    if (this.#life.phase === 'closed') return;
    this.#life.signal('closed');
    this.#onUnwatched();
  }
}
