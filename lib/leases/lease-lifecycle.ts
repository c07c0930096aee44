import type { Observable } from 'rxjs';
import { atOneMoment, type Times } from '../clock/clock.js';
import { remaining } from '../clock/deadline.js';
import { withTimeout } from '../clock/with-timeout.js';
import { isTransient, mayHaveExecuted, VaultError } from '../errors/vault-error.js';
import { closed, unexpected } from '../errors/common-errors.js';
import type { VaultAskMessage, VaultTaskMessage } from '../events/channels.js';
import type { RotationReason } from '../events/events.js';
import type { NextStep } from '../events/next-step.js';
import type { LeaseStatus } from '../events/status.js';
import type { VaultToken } from '../session/vault-token.js';
import type { Grant } from '../lifetime/grant.js';
import { Lifecycle, type Attempt, type Subject } from '../lifetime/lifecycle.js';
import type { Phase } from '../lifetime/transitions.js';
import { CredentialsStream } from './credentials-stream.js';
import { expired, noneYet, notRotated } from './lease-errors.js';
import type { ConnectionLink } from './connection-link.js';
import type { EngineRules, IssueParameters } from '../engines/engine.js';
import { cutShort, issueLease, whenIssuable, type Issuer } from './issue-lease.js';
import { IssuedCheck, type Requirement } from './issued-check.js';
import { ISSUE_LIMIT_WARNING, waitToIssue, withIssue, type Issues } from './issue-rate-limit.js';
import type { Credentials, Lease, LeaseHooks } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { drainShortfall, FIRST, leaseStatus, nextStep } from './lease-status.js';
import { SupersededLeases } from './superseded-leases.js';
import { planLease, type LeaseStep } from './lease-policy.js';
import { RejectionCheck } from './rejection-check.js';
import { renewLease } from './renew-lease.js';
import { LeaseEvents, type Failure } from './lease-events.js';

/** Shared by all paths. */
const NO_ISSUES: Issues = [];
const NONE: readonly Lease<unknown>[] = [];

/**
 * One path, for the life of the process: issued when first asked for, renewed, rotated with overlap, and issued
 * again whatever happens to the lease, the token or the server.
 */
export class LeaseLifecycle<T> implements LeaseHooks, Subject<LeaseStep | typeof FIRST> {
  /** Its key in the registry. */
  readonly key: string;
  readonly path: string;
  readonly parameters: IssueParameters | undefined;
  /** The engine that a consumer gave. */
  readonly engine: EngineRules | undefined;
  readonly #context: LeaseContext;
  /** Created for the first superseded lease, because there may be ten thousand paths. */
  #superseded: SupersededLeases | undefined;
  readonly #events: LeaseEvents;
  readonly #out = new CredentialsStream<T>();
  /** Called where the first read fails for good. */
  readonly #onRefused: (secret: LeaseLifecycle<T>, error: VaultError) => void;
  readonly #life: Lifecycle<LeaseStep | typeof FIRST>;
  #issues: Issues = NO_ISSUES;
  /** Created by the first consumer that needs a form. */
  #check: IssuedCheck | undefined;
  /** Created by the first report of a rejection. */
  #rejections: RejectionCheck | undefined;
  #serial = 0;
  /** The caller that the next issue is for. */
  #asked: VaultAskMessage | undefined;
  /** An expired grant of which no server could say whether it is alive. */
  #unanswered: Grant | undefined;
  #frozen = false;
  #keepTrying = false;

  constructor(
    { key, path, parameters, engine }: Pick<Issuer<T>, 'path' | 'parameters' | 'engine'> & { key: string },
    context: LeaseContext,
    onRefused: (secret: LeaseLifecycle<T>, error: VaultError) => void,
  ) {
    this.key = key;
    this.path = path;
    this.parameters = parameters;
    this.engine = engine;
    this.#context = context;
    this.#events = new LeaseEvents(path, context.emit);
    this.#life = new Lifecycle(context, this);
    this.#onRefused = onRefused;
  }

  get link(): ConnectionLink {
    return this.#context.link;
  }

  get stream$(): Observable<Credentials<T>> {
    return this.#out.stream$(() => this.current());
  }

  get ended(): boolean {
    return this.#life.phase === 'closed';
  }

  /** Whether there are valid credentials. */
  get isValid(): boolean {
    const lease = this.#out.lease;
    return lease !== undefined && lease.left(this.#context.clock) > 0;
  }

  current(): Credentials<T> | undefined {
    if (this.isValid) return this.#out.lease?.snapshot();
    if (this.#out.lease) this.#onExpired();
    return undefined;
  }

  /** A consumer needs data of this form: an answer of another one is a failed try. */
  require(requirement: Requirement): void {
    this.#check ??= new IssuedCheck(this.#context.clock);
    this.#check.require(requirement, this.#out.lease);
  }

  /** Issues the first one, unless that is under way. */
  start(keepTrying: boolean): void {
    this.#keepTrying ||= keepTrying;
    if (this.#out.lease || this.#life.begun) return;
    this.#asked = this.#context.diagnostics.ask();
    this.#life.wake();
  }

  /** The current one; the next one, where it is on its way; an error where there is none to be had now. */
  async get(timeout: number): Promise<Credentials<T>> {
    const current = this.current();
    if (current) return current;
    const { clock, diagnostics } = this.#context;
    if (this.#out.lease) this.#asked ??= diagnostics.ask();
    if (this.#out.lease) return withTimeout(this.#next(), timeout, clock, () => this.#expired());
    const late = () => this.#life.retry.error ?? noneYet(this.path);
    const first = await withTimeout(this.#out.next(), timeout, clock, late);
    if (first) return first;
    throw closed(this.path);
  }

  /** The last lease has expired; an attempt under way decides. */
  async #next(): Promise<Credentials<T>> {
    do await this.#life.attempt();
    while (!this.current() && this.#life.work);
    const next = this.current();
    if (next) return next;
    throw this.ended ? closed(this.path) : this.#expired();
  }

  /** The token changed, or turned out to be dead: look at the lease again. */
  tokenChanged(token: VaultToken): void {
    this.#superseded?.tokenChanged();
    // The token is dead: issue again now, and do not wait for the retry delay of a failed renewal.
    if (token.ended) this.#life.succeed();
    if (this.#out.lease || token.ended) this.#life.wake();
  }

  /** @param at the present time */
  status(at: Times = atOneMoment(this.#context.clock)): LeaseStatus {
    const lease = this.#out.lease;
    return leaseStatus(this.path, {
      lease,
      step: this.plan(at),
      ended: this.ended,
      tries: this.#life.retry,
      limited: this.#limitedAt(at),
      drain: lease && drainShortfall(lease, this.#context, at),
      superseded: this.#superseded?.leases ?? NONE,
      at,
    });
  }

  /** Whether the path was released, and every lease of it has ended. */
  get gone(): boolean {
    return this.ended && this.leases.length === 0;
  }

  /** Some lease of this path is in use by a consumer that will say when it is done. */
  get held(): boolean {
    return this.#superseded?.held === true || this.#out.lease?.held === true;
  }

  /** The leases that the server has not ended: the one in use, and superseded ones. */
  get leases(): readonly Lease<unknown>[] {
    const lease = this.#out.lease;
    const superseded = this.#superseded?.leases ?? NONE;
    return lease ? [lease, ...superseded] : superseded;
  }

  /** From now on renewals only. */
  freeze(): void {
    this.#frozen = true;
  }

  /** Ends the stream; resolves when the server was asked to end the lease, or it waits for those who hold it. */
  async end(): Promise<void> {
    if (this.ended) return;
    this.#life.signal('closed');
    const lease = this.#out.end();
    if (lease) await this.#supersede(lease, 0, this.#life.work);
  }

  async retireAll(): Promise<void> {
    // A lease that is being issued has to be ended, too.
    await Promise.all([this.#superseded?.retireAll(), this.#life.work]);
    await this.#superseded?.retireAll();
  }

  observe(): void {
    const lease = this.#out.lease;
    if (!lease) return;
    this.#events.warnOnce('drain-too-long', drainShortfall(lease, this.#context)?.warning);
    if (lease.left(this.#context.clock) > 0) this.#life.signal('renewed');
    else this.#life.signal(this.plan().action === 'renew' ? 'overdue' : 'ended');
  }

  onPhase(before: Phase, after: Phase): void {
    const lease = this.#out.lease;
    if (!lease || after === 'closed') return;
    // Also where the same lease turned out to be alive: consumers that came meanwhile wait for it.
    if (after === 'active') this.#out.publish(lease);
    else if (before === 'active') this.#events.expired(lease, this.#life.retry.error);
    this.#context.changed();
  }

  /** The end of the lease is reported when it comes, even if a request outlasts it. */
  untilObserved(): number {
    const lease = this.#life.phase === 'active' ? this.#out.lease : undefined;
    return lease ? Math.max(0, lease.left(this.#context.clock)) : Infinity;
  }

  plan(at: Times = this.#context.clock): LeaseStep | typeof FIRST {
    const lease = this.#out.lease;
    if (!lease) return FIRST;
    const { options } = this.#context;
    const { retry, failed } = this.#life;
    const attempts = {
      frozen: this.#frozen,
      failures: retry.count,
      rotationFailed: failed === 'replacement',
      gotNoResponse: retry.gotNoResponse,
    };
    return planLease(lease.view(at), attempts, options.renewal);
  }

  onStatusChange(): void {
    this.#context.changed();
  }

  /** No retry is needed any more: a renewal of the token showed that the lease is alive. */
  onNotDue(): void {
    this.#life.succeed();
  }

  blockedFor({ action }: LeaseStep | typeof FIRST): number {
    if (action === 'renew') return 0;
    // A first lease is still issued, because requests that are being drained may need it.
    if (this.#frozen && this.#out.lease) return Infinity;
    const limited = this.#limitedAt(this.#context.clock);
    if (limited > 0) {
      this.#events.warnOnce('issue-limit', ISSUE_LIMIT_WARNING);
      this.#context.changed();
    }
    return limited;
  }

  run({ action, reason }: LeaseStep | typeof FIRST): Promise<void> {
    const lease = this.#out.lease;
    if (!lease) return this.#issue(undefined, undefined);
    return action === 'renew' ? this.#renew(lease) : this.#issue(lease, reason as RotationReason);
  }

  /** Milliseconds in which no more may be issued. */
  #limitedAt(at: Times): number {
    return waitToIssue(this.#issues, at.monotonic());
  }

  get #nextStep(): NextStep {
    const at = this.#context.clock;
    const [step, limited] = [this.plan(), this.#limitedAt(at)];
    return nextStep({ step, ended: this.ended, tries: this.#life.retry, limited, at });
  }

  /** After a sleep or a step of the clock, a caller may notice the end before the timer does. */
  #onExpired(): void {
    if (this.#life.phase === 'active') queueMicrotask(() => this.#life.wake());
  }

  async #renew(lease: Lease<T>): Promise<void> {
    try {
      const { clock, session } = this.#context;
      const { token } = lease;
      const outlived = token.left(clock) <= 0 && remaining(lease.grant.deadline, clock) > 0;
      // While its token looks expired, so does the lease, renewed or not: the token is checked first.
      await session.check(token);
      if (token.left(clock) <= 0) {
        if (token.ended || token.supersededAt !== undefined) return;
        throw session.status().error ?? this.#expired();
      }
      if (outlived) return this.#life.succeed();
      const { update, warnings } = await renewLease(lease, this.#context);
      const { ttl } = lease.grant;
      this.#life.adopt(lease, update);
      // A renewal does not clear a failed rotation: the lease still has to be replaced.
      if (this.#life.failed !== 'replacement' || this.plan().action === 'renew') this.#life.succeed();
      if (update.kind === 'renewed') this.#events.renewed(lease, ttl, this.#nextStep);
      for (const { code, text } of warnings) this.#events.warnOnce(code, text);
    } catch (cause) {
      this.#events.renewalFailed(lease, this.#failed('renewal', cause, lease));
    }
  }

  #issue(previous: Lease<T> | undefined, reason: RotationReason | undefined): Promise<void> {
    const asked = this.#asked;
    this.#asked = undefined;
    const kind = previous ? 'rotation' : 'issue';
    const task = this.#context.diagnostics.task({ kind, reason: reason ?? 'first', path: this.path, asked });
    return whenIssuable({ path: this.path, previous }, this.#context, async () => {
      const before = this.#serial;
      await this.#tryIssue(previous, reason, task?.message);
      const error = this.#life.retry.error?.code;
      const serial = this.#serial > before ? this.#serial : undefined;
      task?.end(error !== undefined ? { error } : { serial });
    });
  }

  async #tryIssue(
    previous: Lease<T> | undefined,
    reason: RotationReason | undefined,
    task: VaultTaskMessage | undefined,
  ): Promise<void> {
    try {
      const { lease, warnings } = await issueLease<T>(this.#issuer(previous), this.#context, task);
      this.#issues = withIssue(this.#issues, this.#context.clock.monotonic());
      if (this.ended) return void this.#supersede(lease, 0);
      const changed = previous === undefined || lease.differsFrom(previous);
      if (previous && lease.id === '' && !changed) return this.#same(previous, lease);
      // No step below can fail; consumers that throw interrupt nothing.
      this.#serial = lease.serial;
      this.#out.use(lease);
      this.#life.succeed();
      const next = this.#nextStep;
      this.#events.issued(lease, next, warnings);
      // Consumers that came after the end of the previous one wait for a credential, even if its data is the same.
      if (this.#life.phase !== 'active') this.#life.signal('granted');
      else if (changed) this.#out.publish(lease);
      if (!previous) return;
      // Consumers have the new one by now, so a listener of this event finds it in place.
      if (changed) this.#events.rotated(lease, next, reason);
      if (reason === 'token') this.#events.warnOnce('lease-cut-short', cutShort(previous, this.#context));
      void this.#supersede(previous, this.#context.options.renewal.grace);
    } catch (cause) {
      this.#issueFailed(cause, reason);
    }
  }

  /** A secret without a lease was read again, and has not changed. */
  #same(current: Lease<T>, again: Lease<T>): void {
    const { clock, random } = this.#context;
    this.#life.adopt(current, { kind: 'read-again', grant: again.grant });
    const late = current.readAgain(again, clock, random);
    if (late === 0) return this.#life.succeed();
    // Delays grow with the time for which the rotation is overdue.
    const error = notRotated(this.path);
    const retryAt = this.#life.fail('replacement', error, { left: late, ttl: late });
    this.#events.rotationOverdue(current, { error, retryAt, attempt: this.#life.retry.count });
  }

  #issuer(previous: Lease<T> | undefined): Issuer<T> {
    return {
      path: this.path,
      parameters: this.parameters,
      engine: this.engine,
      hooks: this,
      previous,
      check: this.#check ?? new IssuedCheck(this.#context.clock),
      serial: this.#serial + 1,
      hasLease: (id) => previous?.id === id || this.#superseded?.has(id) === true,
      onUnusable: (lease) => {
        this.#serial = lease.serial;
        void this.#supersede(lease, 0);
      },
    };
  }

  #supersede(lease: Lease<unknown>, grace: number, renewal?: Promise<void>): Promise<void> {
    this.#superseded ??= new SupersededLeases(this.#context);
    return this.#superseded.add(lease, grace, renewal);
  }

  #issueFailed(cause: unknown, reason: RotationReason | undefined): void {
    if (this.ended) return;
    const lease = this.#out.lease;
    const failure = this.#failed('replacement', cause, lease);
    const { error } = failure;
    if (mayHaveExecuted(error, this.path))
      this.#issues = withIssue(this.#issues, this.#context.clock.monotonic());
    if (lease || isTransient(error) || this.#keepTrying)
      return this.#events.rotationFailed(lease, failure, reason);
    // Waiting cannot help, and no consumer holds anything: they get the error, and the next call starts afresh.
    this.#life.signal('closed');
    if (failure.attempt > 1) this.#context.emit({ type: 'released', path: this.path });
    this.#onRefused(this, error);
    this.#out.fail(error);
  }

  onDrainRequired({ id, drain }: Lease<unknown>): void {
    // A secret without a lease does not end with the token.
    if (id !== '') this.#context.session.requireDrain(drain);
    this.#life.wake();
  }

  /** If the lease is of no use any more, a new one does not wait for the retry of a failed renewal. */
  async onRejected(lease: Lease<unknown>, confirmed: boolean): Promise<void> {
    if (lease !== this.#out.lease || this.ended) return;
    const useless = () => lease.ended || lease.rejection !== undefined;
    // A repeated report does not bring the next attempt forward.
    if (useless()) return this.#life.wake();
    const rejections = (this.#rejections ??= new RejectionCheck(this.#context));
    if (await rejections.isGone(lease)) this.#life.adopt(lease, { kind: 'ended' });
    // A secret without a lease cannot be looked up. It is read again instead.
    else if (!lease.rejection && (confirmed || lease.id === ''))
      lease.reject({ at: rejections.nextAt(), confirmed });
    if (lease !== this.#out.lease) return;
    if (useless()) this.#life.succeed();
    this.#context.changed();
    this.#life.wake();
  }

  ensureValid(lease: Lease<unknown>): Promise<void> | undefined {
    const alive = lease.left(this.#context.clock) > 0;
    // The application is closing: requests under way finish with the credentials that they have.
    if (alive || this.ended || this.#frozen) return undefined;
    return !lease.lost && this.#unanswered === lease.grant ? undefined : this.#verify(lease);
  }

  /** Past the deadline, one attempt to renew or to replace the lease shows whether the server knows it. */
  async #verify(lease: Lease<unknown>): Promise<void> {
    const alive = () => lease.left(this.#context.clock) > 0;
    const inUse = () => lease === this.#out.lease;
    do await this.#life.attempt();
    while (inUse() && !alive() && this.#life.work);
    if (alive() || this.ended) return;
    const { error } = this.#life.retry;
    if (!inUse() || lease.lost || !error || !isTransient(error)) throw this.#expired();
    this.#unanswered = lease.grant;
  }

  #failed(attempt: Attempt, cause: unknown, lease: Lease<T> | undefined): Failure {
    const error =
      cause instanceof VaultError ? cause : unexpected(cause, `What was asked at ${this.path}`, this.path);
    // Credentials that consumers cannot use are as urgent as expired ones.
    const left = !lease || lease.rejection?.confirmed ? 0 : lease.left(this.#context.clock);
    const retryAt = this.#life.fail(attempt, error, lease && { left, ttl: lease.firstTtl });
    return { error, retryAt, attempt: this.#life.retry.count };
  }

  #expired(): VaultError {
    return expired(this.path, this.#life.retry.error);
  }
}
