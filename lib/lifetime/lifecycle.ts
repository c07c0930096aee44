import type { Clock } from '../clock/clock.js';
import type { Job, Scheduler, Task } from '../clock/scheduler.js';
import type { VaultError } from '../errors/vault-error.js';
import type { RetryDeadline } from '../retry/backoff.js';
import { RetryState } from '../retry/retry-state.js';
import { nextGrant, type Grant, type GrantUpdate } from './grant.js';
import { transition, type Phase, type Signal } from './transitions.js';

/** An attempt to extend what there is, or to get the next one. */
export type Attempt = 'renewal' | 'replacement';

/** The next step by policy; `in` is milliseconds from now. */
export interface Step {
  readonly action: string;
  readonly in: number;
}

/** The part of a life that differs between a token, a lease, a superseded lease and a watched secret. */
export interface Subject<S extends Step> {
  /** Compares the phase with the clocks before each step, and signals what has changed. */
  observe?(): void;
  /** The next step; nothing where there is none to take. */
  plan(): S | undefined;
  /** Carries out a step that is due. It reports its result by signals, and never rejects. */
  run(step: S): Promise<void>;
  /** Called at each wake at which the step is not due, and no retry is waited for: a failure no longer matters. */
  onNotDue?(step: S): void;
  /** Milliseconds for which a step that is due has to wait all the same. */
  blockedFor?(step: S): number;
  /** Milliseconds until `observe` is due, whatever else is under way. */
  untilObserved?(): number;
  /** Called after each attempt, and where a failure no longer matters: the status may differ. */
  onStatusChange?(): void;
  /** Called after each change of phase. */
  onPhase?(before: Phase, after: Phase): void;
}

/** Assigns a grant; for this file alone. */
let assign: (to: Granted, grant: Grant) => void;

/** A token or a lease, with the last grant of the server. */
export abstract class Granted {
  #grant: Grant;

  static {
    assign = (to, grant) => (to.#grant = grant);
  }

  constructor(first: Grant) {
    this.#grant = first;
  }

  /** Replaced by {@link Lifecycle.adopt} alone. */
  get grant(): Grant {
    return this.#grant;
  }

  /** Whether the server has ended it, or says so. */
  get ended(): boolean {
    const { state } = this.#grant;
    return state === 'ended' || state === 'refused';
  }
}

/** The parts of a connection that every life needs. */
export interface LifecycleContext {
  readonly clock: Clock;
  readonly scheduler: Scheduler;
  readonly options: {
    readonly retry: {
      readonly initialDelay: number;
      readonly maxDelay: number;
      readonly jitter: number;
    };
  };
  readonly random: () => number;
}

/** For each connection: the state of all its lives without failures. */
const WITHOUT_FAILURES = new WeakMap<LifecycleContext, RetryState>();

function withoutFailures(context: LifecycleContext): RetryState {
  let none = WITHOUT_FAILURES.get(context);
  if (!none) WITHOUT_FAILURES.set(context, (none = new RetryState(context)));
  return none;
}

/**
 * One life: its phase, its attempts and its task at the scheduler. At most one step is carried out at a time, and all of
 * it runs in the background context, because it belongs to no caller.
 */
export class Lifecycle<S extends Step> implements Job {
  readonly #subject: Subject<S>;
  readonly #context: LifecycleContext;
  #phase: Phase;
  /** Created by the first failure, because there may be ten thousand lives. */
  #retry: RetryState | undefined;
  #failed: Attempt | undefined;
  #task: Task | undefined;
  /** Whether the task waits for a turn of the event loop only. */
  #woken = false;
  /** Called at that turn. */
  #onTurn: (() => void)[] | undefined;
  #work: Promise<void> | undefined;

  constructor(context: LifecycleContext, subject: Subject<S>, phase: Phase = 'pending') {
    this.#context = context;
    this.#subject = subject;
    this.#phase = phase;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** Failed attempts, and when the next one is due. */
  get retry(): RetryState {
    return this.#retry ?? withoutFailures(this.#context);
  }

  /** The last attempt, if it failed. */
  get failed(): Attempt | undefined {
    return this.#failed;
  }

  /** The step under way. */
  get work(): Promise<void> | undefined {
    return this.#work;
  }

  /** Whether a step is under way, or a timer is set for one. */
  get begun(): boolean {
    return this.#task !== undefined;
  }

  signal(signal: Signal): void {
    const before = this.#phase;
    this.#phase = transition(before, signal);
    if (this.#phase === before) return;
    if (this.#phase === 'closed') this.#close();
    this.#subject.onPhase?.(before, this.#phase);
  }

  /** Records a report of the server about a token or lease. No grant changes anywhere else. */
  adopt(of: Granted, update: GrantUpdate): void {
    assign(of, nextGrant(of.grant, update, this.#context.random));
  }

  /** An attempt worked, or the last failure no longer matters. */
  succeed(): void {
    if (this.retry.error) this.#subject.onStatusChange?.();
    this.#retry = undefined;
    this.#failed = undefined;
  }

  /** @returns the time of the next attempt */
  fail(attempt: Attempt, error: VaultError, deadline?: RetryDeadline): Date {
    this.#failed = attempt;
    return this.#failures.fail(error, deadline);
  }

  /** The attempt brought nothing new, although nothing failed: the next one is spaced out like after a failure. */
  postpone(attempt: Attempt, deadline: RetryDeadline): void {
    this.#failed = attempt;
    this.#failures.error = undefined;
    this.#failures.scheduleNext(deadline);
  }

  /** Brings the next attempt forward, to this many milliseconds from now at the latest. */
  retryWithin(milliseconds: number): void {
    const retry = this.#failures;
    retry.retryAt = Math.min(retry.retryAt, this.#context.clock.monotonic() + milliseconds);
  }

  /** A new grant came, but its predecessors ended early: delays stay as they are until it has proved itself. */
  clearAttempt(): void {
    this.#failed = undefined;
  }

  /** Takes the next step, if it is due: now, or on a later turn of the event loop if this one has no time left. */
  wake(): void {
    if (this.#woken) return;
    const { clock, scheduler } = this.#context;
    const before = this.#task;
    const turn = scheduler.soon(before?.at ?? clock.monotonic(), this);
    if (!turn) return;
    before?.cancel();
    this.#task = turn;
    this.#woken = true;
  }

  /** The scheduler calls it at the time of the task. */
  run(): void {
    this.#woken = false;
    this.#proceed();
    this.#endTurn();
  }

  /** Sets the timer again after a change of the plan. A step that is due is taken on the next turn. */
  reschedule(): void {
    if (this.#phase !== 'closed' && !this.#work) this.#sleep(this.#delay(this.#subject.plan()));
  }

  /** Takes no step before this request, which counts as the one under way, has ended. It must never reject. */
  follow(work: Promise<void>): void {
    this.#work = work.finally(() => {
      this.#work = undefined;
      this.#subject.onStatusChange?.();
      this.wake();
    });
  }

  /** Resolves when the step that is due, or under way, has been carried out. */
  async attempt(): Promise<void> {
    this.wake();
    if (this.#woken) await new Promise<void>((resolve) => (this.#onTurn ??= []).push(resolve));
    await this.#work;
  }

  get #failures(): RetryState {
    return (this.#retry ??= new RetryState(this.#context));
  }

  #close(): void {
    this.#task?.cancel();
    this.#woken = false;
    this.#endTurn();
  }

  #endTurn(): void {
    const waiting = this.#onTurn;
    this.#onTurn = undefined;
    waiting?.forEach((resolve) => resolve());
  }

  #proceed(): void {
    if (this.#phase === 'closed') return;
    this.#subject.observe?.();
    // A consumer that was notified may have closed it.
    if (this.phase === 'closed') return;
    if (this.#work) return this.#sleep(Infinity);
    const step = this.#subject.plan();
    if (!step) return this.#sleep(Infinity);
    if (step.in > 0 && !this.retry.waiting) this.#subject.onNotDue?.(step);
    const delay = this.#delay(step);
    if (delay > 0) return this.#sleep(delay);
    const blocked = this.#subject.blockedFor?.(step) ?? 0;
    if (blocked > 0) return this.#sleep(blocked);
    this.#sleep(Infinity);
    this.follow(this.#subject.run(step));
  }

  #delay(step: S | undefined): number {
    if (!step) return Infinity;
    return this.retry.waiting ? this.retry.remaining : step.in;
  }

  #sleep(delay: number): void {
    // The turn that was asked for in the meantime plans again.
    if (this.#woken) return;
    const { clock, scheduler } = this.#context;
    this.#task?.cancel();
    const limit = this.#subject.untilObserved?.() ?? Infinity;
    this.#task = scheduler.at(clock.monotonic() + Math.min(delay, limit), this);
  }
}
