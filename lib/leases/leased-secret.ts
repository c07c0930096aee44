import { distinctUntilChanged, Observable, Subject } from 'rxjs';
import type { ApiResponse } from '../client/api-client.js';
import { remaining } from '../clock/deadline.js';
import type { Task } from '../clock/scheduler.js';
import { Tries } from '../client/tries.js';
import { isTransient, VaultError } from '../errors/vault-error.js';
import { malformed } from '../errors/common-errors.js';
import type { RotationReason } from '../events/events.js';
import type { LeaseStatus } from '../events/status.js';
import type { Generation } from '../session/generation.js';
import { IssueLimit } from './issue-limit.js';
import { Lease, type Credentials } from './lease.js';
import { LeaseKeeper, renewLease, type LeaseContext } from './lease-keeper.js';
import { nextLeaseStep, renewalMargin, type LeaseStep } from './lease-policy.js';

const FIRST = { action: 'rotate', in: 0, reason: 'first' } as const;

/**
 * One path, for the life of the process: issued when first asked for, renewed, rotated with overlap, and issued
 * again whatever happens to the lease, the token or the server.
 */
export class LeasedSecret<T> {
  readonly path: string;
  readonly #context: LeaseContext;
  readonly #keeper: LeaseKeeper;
  readonly #published = new Subject<Credentials<T>>();
  /** Called where the first read fails for good. */
  readonly #onRefused: (error: VaultError) => void;
  #current: Lease<T> | undefined;
  #serial = 0;
  #task: Task | undefined;
  #busy = false;
  /** The request under way, or the last one. */
  #work: Promise<void> | undefined;
  readonly #tries: Tries;
  readonly #limit = new IssueLimit();
  #expiryTold = false;
  #frozen = false;
  #ended = false;
  #keepTrying = false;
  #warned = false;
  #shortTold = false;

  constructor(path: string, context: LeaseContext, onRefused: (error: VaultError) => void) {
    this.path = path;
    this.#context = context;
    this.#keeper = new LeaseKeeper(context);
    this.#tries = new Tries(context);
    this.#onRefused = onRefused;
  }

  /** The current snapshot on subscription, and each one that differs from the one before. */
  readonly stream$ = new Observable<Credentials<T>>((subscriber) => {
    const current = this.current();
    if (current) subscriber.next(current);
    return this.#published.subscribe(subscriber);
  }).pipe(distinctUntilChanged((one, next) => one.data === next.data));

  get ended(): boolean {
    return this.#ended;
  }

  current(): Credentials<T> | undefined {
    const lease = this.#current;
    if (lease === undefined) return undefined;
    if (lease.left(this.#context.clock) > 0) return lease.snapshot();
    // After a sleep or a step of the clock, whoever asks notices before the scheduler does.
    if (!this.#expiryTold) queueMicrotask(() => this.#wake());
    return undefined;
  }

  /** Issues the first one, unless that is under way. */
  start(keepTrying: boolean): void {
    this.#keepTrying ||= keepTrying;
    if (!this.#current && !this.#task) this.#wake();
  }

  /** The current one; the next one, where it is on its way; an error where there is none to be had now. */
  async get(timeout: number): Promise<Credentials<T>> {
    const current = this.current();
    if (current) return current;
    if (this.#current) {
      // It is over; if a try is under way, that decides.
      do {
        this.#wake();
        await this.#work;
      } while (!this.current() && this.#busy);
      const next = this.current();
      if (next) return next;
      throw this.#expired();
    }
    const { clock } = this.#context;
    return new Promise((resolve, reject) => {
      const late = () => done(() => reject(this.#tries.error ?? this.#expired()));
      const cancel = clock.setTimer(timeout, late, true);
      const subscription = this.stream$.subscribe({
        next: (credentials) => done(() => resolve(credentials)),
        error: (error: unknown) => done(() => reject(error as Error)),
        complete: () => done(() => reject(this.#expired())),
      });
      function done(settle: () => void) {
        cancel();
        settle();
        // A snapshot may come before subscribe has returned.
        queueMicrotask(() => subscription.unsubscribe());
      }
    });
  }

  /** The token changed, or turned out to be dead: look at the lease again. */
  tokenChanged(generation: Generation): void {
    // Whether to renew was one question; to issue anew is another, and does not wait for its next try.
    if (generation.dead) this.#tries.succeed();
    if (!this.#ended && (this.#current || generation.dead)) this.#wake();
  }

  status(): LeaseStatus {
    const lease = this.#current;
    const { error, count } = this.#tries;
    const step = lease ? this.#plan(lease) : FIRST;
    const action = this.#ended ? 'none' : step.action === 'rotate' ? 'issue' : step.action;
    const alive = lease && lease.left(this.#context.clock) > 0;
    return {
      path: this.path,
      state: !lease ? 'pending' : !alive ? 'expired' : error ? 'degraded' : 'valid',
      ...(lease && lease.id !== '' && { validUntil: lease.validUntil() }),
      next: this.#tries.next({ ...step, action }),
      attempt: count,
      ...(error && { error }),
      superseded: this.#keeper.size,
    };
  }

  /** It was given up, and every lease of it is over. */
  get gone(): boolean {
    return this.#ended && !this.#current && this.#keeper.size === 0;
  }

  /** Some lease of this path is in use by a consumer that will say when it is done. */
  get held(): boolean {
    return this.#keeper.held || this.#current?.held === true;
  }

  /** From now on renewals only. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Ends the stream; resolves when the server was asked to end the lease, or it waits for those who hold it. */
  async end(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    this.#task?.cancel();
    this.#published.complete();
    const lease = this.#current;
    this.#current = undefined;
    if (lease) await this.#keeper.take(lease, 0);
  }

  async retireAll(): Promise<void> {
    // What is issued just now is one more to be ended.
    await Promise.all([this.#keeper.retireAll(), this.#work]);
    await this.#keeper.retireAll();
  }

  #plan(lease: Lease<T>): LeaseStep {
    const { clock, options } = this.#context;
    if (lease.over) return { action: 'rotate', in: 0, reason: 'lease-lost' };
    const step = nextLeaseStep(lease.view(clock), options.renewal);
    // A timer that came late, or a clock that was set: whether it still lives is asked, once, and not assumed.
    const surprised =
      step.reason === 'expired' &&
      remaining(lease.deadline, clock) <= 0 &&
      lease.renewable &&
      !lease.capped &&
      !lease.generation.dead &&
      (lease.generation.supersededAt === undefined || lease.generation.left(clock) > 0) &&
      this.#tries.count === 0;
    if (surprised) return { action: 'renew', in: 0, reason: 'renewal' };
    const late = this.#tries.count > 0 && lease.left(clock) < renewalMargin(lease.granted);
    return step.action === 'renew' && late ? { action: 'rotate', in: 0, reason: 'renewal-failing' } : step;
  }

  #wake(): void {
    if (this.#ended) return;
    const { clock } = this.#context;
    const lease = this.#current;
    if (lease) this.#tellExpiry(lease);
    // A request may outlast the lease, whose end is told all the same.
    if (this.#busy) return this.#sleep(lease, Infinity);
    const step = lease && this.#plan(lease);
    const due = step ? step.in : 0;
    const wait = Math.max(due, this.#tries.retryAt - clock.monotonic());
    if (wait > 0) return this.#sleep(lease, wait);
    // A first one is still issued, as requests that are being drained may need it.
    if (this.#frozen && step && step.action !== 'renew') return this.#sleep(lease, Infinity);
    if (step?.action !== 'renew') {
      const now = clock.monotonic();
      const held = this.#limit.wait(now);
      if (held > 0) return this.#sleep(lease, held);
      this.#limit.issued(now);
    }
    this.#busy = true;
    this.#sleep(lease, Infinity);
    this.#work =
      lease && step?.action === 'renew' ? this.#renew(lease) : this.#issue(step?.reason as RotationReason);
    void this.#work.finally(() => {
      this.#busy = false;
      this.#context.changed();
      this.#wake();
    });
  }

  /** Until the next step, but no longer than the lease lives, so that its end is told when it comes. */
  #sleep(lease: Lease<T> | undefined, delay: number): void {
    const { clock, scheduler } = this.#context;
    const left = lease && !this.#expiryTold ? Math.max(0, lease.left(clock)) : Infinity;
    this.#task?.cancel();
    this.#task = scheduler.at(clock.monotonic() + Math.min(delay, left), () => this.#wake());
  }

  async #renew(lease: Lease<T>): Promise<void> {
    try {
      const { clock, session } = this.#context;
      const { generation } = lease;
      // Renewed or not, it seems over as long as its token does: that comes first, or this would go round and round.
      await session.check(generation);
      if (generation.left(clock) <= 0) {
        if (generation.dead || generation.supersededAt !== undefined) return;
        throw session.status().error ?? this.#expired();
      }
      const warning = await renewLease(lease, this.#context);
      this.#tries.succeed();
      if (this.#expiryTold && lease.left(clock) > 0) {
        this.#expiryTold = false;
        // For those who came while it seemed to be over.
        if (!this.#ended) this.#published.next(lease.snapshot());
      }
      if (warning && !this.#warned)
        this.#context.emit({ type: 'warning', path: this.path, message: warning });
      this.#warned ||= warning !== undefined;
    } catch (cause) {
      const { error, retryAt } = this.#failed(cause, lease.left(this.#context.clock));
      const { serial } = lease;
      const validUntil = lease.validUntil();
      this.#context.emit({ type: 'renewal-failed', path: this.path, serial, error, retryAt, validUntil });
    }
  }

  async #issue(reason: RotationReason | undefined): Promise<void> {
    const { emit } = this.#context;
    const previous = this.#current;
    try {
      const { lease, warnings } = await this.#request();
      if (this.#ended) return void this.#keeper.take(lease, 0);
      const { serial } = lease;
      this.#current = lease;
      this.#expiryTold = false;
      this.#tries.succeed();
      const changed = previous?.fingerprint.reveal() !== lease.fingerprint.reveal();
      if (!changed && lease.id === '') return;
      const validUntil = lease.validUntil();
      emit({ type: 'issued', path: this.path, serial, validUntil, renewable: lease.renewable });
      for (const message of warnings) emit({ type: 'warning', path: this.path, message });
      if (changed) this.#published.next(lease.snapshot());
      // After the new one is with the consumers, so that whoever listens finds it in place.
      if (previous && changed)
        emit({ type: 'rotated', path: this.path, serial, reason: reason ?? 'expired', validUntil });
      if (previous && reason === 'token') this.#warnOfShortTokens(previous);
      if (previous) void this.#keeper.take(previous, this.#context.options.renewal.grace);
    } catch (cause) {
      this.#issueFailed(cause, reason);
    }
  }

  #request(): Promise<{ lease: Lease<T>; warnings: readonly string[] }> {
    const { session, limiter, signal, random, clock } = this.#context;
    const request = { method: 'GET', path: this.path, signal } as const;
    const take = (response: ApiResponse<T>, generation: Generation) => {
      if (typeof response.data !== 'object' || response.data === null) throw malformed(this.path);
      const serial = this.#serial + 1;
      const lease = new Lease<T>({ path: this.path, serial, generation, response }, random);
      if (lease.left(clock) <= 0) {
        session.released(generation, lease);
        throw this.#late();
      }
      this.#serial = serial;
      return { lease, warnings: response.warnings };
    };
    return limiter.run(() => session.run(request, take, true));
  }

  /** The life that a lease reports is not what it gets where its token ends first. */
  #warnOfShortTokens(lease: Lease<T>): void {
    const { clock, emit } = this.#context;
    const lost = remaining(lease.deadline, clock) - lease.generation.left(clock);
    if (lost < 1_000 || this.#shortTold) return;
    this.#shortTold = true;
    const message =
      `A lease of ${Math.round(lease.granted / 1_000)} s was replaced ${Math.round(lost / 1_000)} s early, as it dies ` +
      'with its token. Raise token_max_ttl of the role, or lower the TTL of the lease.';
    emit({ type: 'warning', path: this.path, message });
  }

  #issueFailed(cause: unknown, reason: RotationReason | undefined): void {
    if (this.#ended) return;
    const { clock, emit } = this.#context;
    const lease = this.#current;
    const { error, retryAt } = this.#failed(cause, lease?.left(clock) ?? Infinity);
    if (!lease && !isTransient(error) && !this.#keepTrying) {
      // Waiting cannot help, and nobody holds anything: tell whoever waits, and start afresh when asked again.
      this.#ended = true;
      this.#onRefused(error);
      this.#published.error(error);
      return;
    }
    const validUntil = lease?.validUntil();
    const common = { path: this.path, error, retryAt, ...(validUntil && { validUntil }) };
    emit({ type: 'rotation-failed', reason: reason ?? 'first', ...common });
  }

  #tellExpiry(lease: Lease<T>): void {
    if (this.#expiryTold || lease.left(this.#context.clock) > 0) return;
    this.#expiryTold = true;
    const error = this.#tries.error;
    this.#context.emit({ type: 'expired', path: this.path, serial: lease.serial, ...(error && { error }) });
    this.#context.changed();
  }

  #failed(cause: unknown, left: number): { error: VaultError; retryAt: Date } {
    const error = cause instanceof VaultError ? cause : malformed(this.path);
    return { error, retryAt: this.#tries.fail(error, left) };
  }

  /** The process stood still meanwhile, or the server took longer than it grants: nobody can use that any more. */
  #late(): VaultError {
    return new VaultError({
      code: 'VAULT_TIMEOUT',
      message: `What ${this.path} answered was over when it arrived.`,
      hint: 'It is tried again; if it persists, raise the TTL of the role, or find what holds the process up.',
      path: this.path,
    });
  }

  #expired(): VaultError {
    return new VaultError({
      code: 'VAULT_CREDENTIALS_EXPIRED',
      message: `There is no valid credential of ${this.path} now.`,
      hint: this.#tries.error
        ? `The last try failed: ${this.#tries.error.hint}`
        : 'A new one is being issued; try again shortly.',
      path: this.path,
      ...(this.#tries.error && { cause: this.#tries.error }),
    });
  }
}
