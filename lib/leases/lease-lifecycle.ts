import type { Observable } from 'rxjs';
import { background } from '../clock/background.js';
import { remaining } from '../clock/deadline.js';
import type { Task } from '../clock/scheduler.js';
import { withTimeout } from '../clock/with-timeout.js';
import { RetryState } from '../retry/retry-state.js';
import { isTransient, mayHaveExecuted, VaultError } from '../errors/vault-error.js';
import { closed, unexpected } from '../errors/common-errors.js';
import type { RotationReason } from '../events/events.js';
import type { LeaseStatus } from '../events/status.js';
import type { VaultToken } from '../session/vault-token.js';
import type { Grant } from '../lifetime/grant.js';
import { firstValue } from './first-value.js';
import { CredentialsStream } from './credentials-stream.js';
import { expired, noneYet, notRotated } from './lease-errors.js';
import type { IssueParameters } from './engine.js';
import { cutShort, issueLease, type Issuer } from './issue-lease.js';
import { IssuedCheck, type Requirement } from './issued-check.js';
import { IssueRateLimit, TOO_MANY } from './issue-rate-limit.js';
import type { Credentials, Lease, LeaseHooks } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { drainShortfall, FIRST, leaseStatus } from './lease-status.js';
import { SupersededLeases } from './superseded-leases.js';
import { isLost, planLease } from './lease-plan.js';
import type { LeaseStep } from './lease-policy.js';
import { RejectionCheck } from './rejection-check.js';
import { renewLease } from './renew-lease.js';
import { LeaseEvents } from './lease-events.js';

/**
 * One path, for the life of the process: issued when first asked for, renewed, rotated with overlap, and issued
 * again whatever happens to the lease, the token or the server.
 */
export class LeaseLifecycle<T> implements LeaseHooks {
  readonly path: string;
  readonly parameters: IssueParameters | undefined;
  readonly #context: LeaseContext;
  readonly #keeper: SupersededLeases;
  readonly #events: LeaseEvents;
  readonly #out: CredentialsStream<T>;
  /** Called where the first read fails for good. */
  readonly #onRefused: (secret: LeaseLifecycle<T>, error: VaultError) => void;
  #serial = 0;
  #task: Task | undefined;
  #busy = false;
  /** The request under way. */
  #work: Promise<void> | undefined;
  readonly #tries: RetryState;
  readonly #limit = new IssueRateLimit();
  readonly #check: IssuedCheck;
  readonly #refusals: RejectionCheck;
  /** Past its end, and no server could say whether it lives. */
  #unanswered: Grant | undefined;
  #frozen = false;
  #ended = false;
  #keepTrying = false;
  /** What was tried last was to issue a new one. */
  #rotationFailed = false;

  constructor(
    { path, parameters }: { path: string; parameters: IssueParameters | undefined },
    context: LeaseContext,
    onRefused: (secret: LeaseLifecycle<T>, error: VaultError) => void,
  ) {
    this.path = path;
    this.parameters = parameters;
    this.#context = context;
    this.#keeper = new SupersededLeases(context);
    this.#events = new LeaseEvents(path, context.emit);
    this.#out = new CredentialsStream(context.clock, this.#events, () => this.#wake());
    this.#tries = new RetryState(context);
    this.#check = new IssuedCheck(context.clock);
    this.#refusals = new RejectionCheck(context);
    this.#onRefused = onRefused;
  }

  get stream$(): Observable<Credentials<T>> {
    return this.#out.stream$;
  }

  get ended(): boolean {
    return this.#ended;
  }

  current(): Credentials<T> | undefined {
    return this.#out.current();
  }

  /** A consumer needs data of this form: an answer of another one is a failed try. */
  require(requirement: Requirement): void {
    this.#check.require(requirement, this.#out.lease);
  }

  /** Issues the first one, unless that is under way. */
  start(keepTrying: boolean): void {
    this.#keepTrying ||= keepTrying;
    if (!this.#out.lease && !this.#task) this.#wake();
  }

  /** The current one; the next one, where it is on its way; an error where there is none to be had now. */
  async get(timeout: number): Promise<Credentials<T>> {
    const current = this.current();
    if (current) return current;
    const { clock } = this.#context;
    if (this.#out.lease) return withTimeout(this.#next(), timeout, clock, () => this.#expired());
    return firstValue(this.stream$, timeout, clock, {
      late: () => this.#tries.error ?? noneYet(this.path),
      ended: () => closed(this.path),
    });
  }

  /** The last one is over; if a try is under way, that decides. */
  async #next(): Promise<Credentials<T>> {
    do {
      this.#wake();
      await this.#work;
    } while (!this.current() && this.#busy);
    const next = this.current();
    if (next) return next;
    throw this.#ended ? closed(this.path) : this.#expired();
  }

  /** The token changed, or turned out to be dead: look at the lease again. */
  tokenChanged(token: VaultToken): void {
    this.#keeper.tokenChanged();
    // Whether to renew was one question; to issue anew is another, and does not wait for its next try.
    if (token.dead) this.#succeeded();
    if (!this.#ended && (this.#out.lease || token.dead)) this.#wake();
  }

  status(): LeaseStatus {
    const lease = this.#out.lease;
    return leaseStatus(this.path, {
      lease,
      step: lease ? this.#plan(lease) : FIRST,
      ended: this.#ended,
      tries: this.#tries,
      limited: this.#limited,
      drain: lease && drainShortfall(lease, this.#context),
      superseded: this.#keeper.size,
      clock: this.#context.clock,
    });
  }

  /** It was given up, and every lease of it is over. */
  get gone(): boolean {
    return this.#ended && !this.#out.lease && this.#keeper.size === 0;
  }

  /** Some lease of this path is in use by a consumer that will say when it is done. */
  get held(): boolean {
    return this.#keeper.held || this.#out.lease?.held === true;
  }

  /** Those that the server has not ended: the one in use, and superseded ones. */
  get leases(): Lease<unknown>[] {
    const lease = this.#out.lease;
    return lease ? [lease, ...this.#keeper.leases] : this.#keeper.leases;
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
    const lease = this.#out.end();
    if (lease) await this.#keeper.take(lease, 0, this.#busy ? this.#work : undefined);
  }

  async retireAll(): Promise<void> {
    // What is issued just now is one more to be ended.
    await Promise.all([this.#keeper.retireAll(), this.#work]);
    await this.#keeper.retireAll();
  }

  #plan(lease: Lease<T>): LeaseStep {
    const { clock, options } = this.#context;
    const circumstances = {
      frozen: this.#frozen,
      failures: this.#tries.count,
      rotationFailed: this.#rotationFailed,
      away: this.#tries.gotNoResponse,
    };
    return planLease(lease, circumstances, clock, options.renewal);
  }

  /** Milliseconds in which no more may be issued. */
  get #limited(): number {
    return this.#limit.wait(this.#context.clock.monotonic());
  }

  /** Belongs to no caller, though a caller may be the first to ask. */
  #wake(): void {
    background(() => this.#proceed());
  }

  #proceed(): void {
    if (this.#ended) return;
    const { clock } = this.#context;
    const lease = this.#out.lease;
    if (this.#out.publishExpiry(this.#tries.error)) this.#context.changed();
    // A request may outlast the lease, whose end is told all the same.
    if (this.#busy) return this.#sleep(Infinity);
    const step = lease && this.#plan(lease);
    if (lease) this.#events.warnOnce('drain', drainShortfall(lease, this.#context)?.warning);
    const due = step ? step.in : 0;
    const wait = Math.max(due, this.#tries.retryAt - clock.monotonic());
    // What failed is due no more: the token was found alive meanwhile, and so was the lease.
    if (due > 0 && !this.#tries.waiting) this.#succeeded();
    if (wait > 0) return this.#sleep(wait);
    // A first one is still issued, as requests that are being drained may need it.
    if (this.#frozen && step && step.action !== 'renew') return this.#sleep(Infinity);
    if (step?.action !== 'renew') {
      const held = this.#limited;
      if (held > 0) {
        this.#events.warnOnce('limit', TOO_MANY);
        this.#context.changed();
        return this.#sleep(held);
      }
    }
    this.#busy = true;
    this.#sleep(Infinity);
    this.#work =
      lease && step?.action === 'renew' ? this.#renew(lease) : this.#issue(step?.reason as RotationReason);
    void this.#work.finally(() => {
      this.#busy = false;
      this.#work = undefined;
      this.#context.changed();
      this.#wake();
    });
  }

  /** Until the next step, but no longer than the lease lives, so that its end is told when it comes. */
  #sleep(delay: number): void {
    const { clock, scheduler } = this.#context;
    this.#task?.cancel();
    const at = clock.monotonic() + Math.min(delay, this.#out.untilEnd);
    this.#task = scheduler.at(at, () => this.#wake());
  }

  async #renew(lease: Lease<T>): Promise<void> {
    try {
      const { clock, session } = this.#context;
      const { token } = lease;
      const outlived = token.left(clock) <= 0 && remaining(lease.grant.deadline, clock) > 0;
      // Renewed or not, it seems over as long as its token does: that comes first, or this would go round and round.
      await session.check(token);
      if (token.left(clock) <= 0) {
        if (token.dead || token.supersededAt !== undefined) return;
        throw session.status().error ?? this.#expired();
      }
      if (outlived) return this.#succeeded();
      for (const text of await renewLease(lease, this.#context)) this.#events.warnOnce(text, text);
      // Where rotations fail, a renewal of what is to be replaced is no end of the trouble.
      if (!this.#rotationFailed || this.#plan(lease).action === 'renew') this.#succeeded();
    } catch (cause) {
      const { error, retryAt } = this.#failed(cause, lease);
      this.#rotationFailed = false;
      this.#events.renewalFailed(lease, error, retryAt);
    }
  }

  async #issue(reason: RotationReason | undefined): Promise<void> {
    const previous = this.#out.lease;
    try {
      const { lease, warnings } = await issueLease<T>(this.#issuer(previous), this.#context);
      this.#limit.issued(this.#context.clock.monotonic());
      if (this.#ended) return void this.#keeper.take(lease, 0);
      const changed = previous === undefined || lease.differsFrom(previous);
      if (previous && lease.id === '' && !changed) return this.#same(previous, lease);
      // From here on nothing can fail: consumers that throw do so by themselves.
      this.#serial = lease.serial;
      const outlived = this.#out.replace(lease);
      this.#succeeded();
      this.#events.issued(lease, warnings);
      // Who came while there was none waits for it, whatever it holds.
      if (changed || outlived) this.#out.publish(lease);
      if (!previous) return;
      // After the new one is with the consumers, so that whoever listens finds it in place.
      if (changed) this.#events.rotated(lease, reason);
      if (reason === 'token') this.#events.warnOnce('cut short', cutShort(previous, this.#context));
      void this.#keeper.take(previous, this.#context.options.renewal.grace);
    } catch (cause) {
      this.#issueFailed(cause, reason);
    }
  }

  /** What has no lease was read again, and is what it was. */
  #same(current: Lease<T>, again: Lease<T>): void {
    const { clock, random } = this.#context;
    const late = current.prolong(again, clock, random);
    if (late === 0) return this.#succeeded();
    // The longer it takes already, the longer it may take.
    const error = notRotated(this.path);
    const retryAt = this.#tries.fail(error, { left: late, ttl: late });
    this.#events.rotationOverdue(current, error, retryAt);
  }

  #issuer(previous: Lease<T> | undefined): Issuer<T> {
    return {
      path: this.path,
      parameters: this.parameters,
      hooks: this,
      previous,
      check: this.#check,
      serial: this.#serial + 1,
      holds: (id) => previous?.id === id || this.#keeper.has(id),
      abandoned: (lease) => {
        this.#serial = lease.serial;
        void this.#keeper.take(lease, 0);
      },
    };
  }

  #issueFailed(cause: unknown, reason: RotationReason | undefined): void {
    if (this.#ended) return;
    const lease = this.#out.lease;
    const { error, retryAt } = this.#failed(cause, lease);
    if (mayHaveExecuted(error, this.path)) this.#limit.issued(this.#context.clock.monotonic());
    this.#rotationFailed = true;
    if (lease || isTransient(error) || this.#keepTrying)
      return this.#events.rotationFailed(lease, error, retryAt, reason);
    // Waiting cannot help, and nobody holds anything: tell whoever waits, and start afresh when asked again.
    this.#ended = true;
    this.#onRefused(this, error);
    this.#out.fail(error);
  }

  onDrainRequired({ id, drain }: Lease<unknown>): void {
    // What has no lease does not die with a token.
    if (id !== '') this.#context.session.requireDrain(drain);
    this.#wake();
  }

  /** Where it is of no use any more, a new one does not wait for the next try to renew it. */
  async onRejected(lease: Lease<unknown>, confirmed: boolean): Promise<void> {
    if (lease !== this.#out.lease || this.#ended) return;
    const useless = () => lease.over || lease.rejected !== undefined;
    // Told again of what is known, the next try to replace it comes no sooner.
    if (useless()) return this.#wake();
    await this.#refusals.examine(lease, confirmed);
    if (lease !== this.#out.lease) return;
    if (useless()) this.#succeeded();
    this.#context.changed();
    this.#wake();
  }

  ensureValid(lease: Lease<unknown>): Promise<void> | undefined {
    const alive = lease.left(this.#context.clock) > 0;
    // The application is closing: what is under way is finished with what there is.
    if (alive || this.#ended || this.#frozen) return undefined;
    return !isLost(lease) && this.#unanswered === lease.grant ? undefined : this.#look(lease);
  }

  /** Past its end: one try to renew it, or to issue another one, shows whether the server knows it. */
  async #look(lease: Lease<unknown>): Promise<void> {
    const alive = () => lease.left(this.#context.clock) > 0;
    const inUse = () => lease === this.#out.lease;
    do {
      this.#wake();
      await this.#work;
    } while (inUse() && !alive() && this.#busy);
    if (alive() || this.#ended) return;
    const { error } = this.#tries;
    if (!inUse() || isLost(lease) || !error || !isTransient(error)) throw this.#expired();
    this.#unanswered = lease.grant;
  }

  #succeeded(): void {
    if (this.#tries.error) this.#context.changed();
    this.#tries.succeed();
    this.#rotationFailed = false;
  }

  #failed(cause: unknown, lease: Lease<T> | undefined): { error: VaultError; retryAt: Date } {
    const error =
      cause instanceof VaultError ? cause : unexpected(cause, `What was asked at ${this.path}`, this.path);
    if (!lease) return { error, retryAt: this.#tries.fail(error) };
    // One that consumers are refused with is of no use, however long it lives.
    const left = !lease.rejected?.confirmed ? lease.left(this.#context.clock) : 0;
    return { error, retryAt: this.#tries.fail(error, { left, ttl: lease.firstTtl }) };
  }

  #expired(): VaultError {
    return expired(this.path, this.#tries.error);
  }
}
