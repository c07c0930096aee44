import { Lifecycle, type Subject } from '../lifetime/lifecycle.js';
import type { Phase } from '../lifetime/transitions.js';
import type { VaultError } from '../errors/vault-error.js';
import type { NextStep } from '../events/next-step.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { renewed } from './lease-events.js';
import { nextHeldStep } from './lease-policy.js';
import { renewLease } from './renew-lease.js';
import { isWorthRetiring, SHORTEST_INCREMENT } from './retirement.js';

/** Milliseconds before its end at which holders are notified: they close what they use, before it is cut off. */
const BEFORE_END = 500;

interface SupersededStep {
  action: 'renew' | 'retire';
  in: number;
}

/** A superseded lease: renewed while consumers hold it, then ended by the server. */
export class SupersededLease implements Subject<SupersededStep> {
  readonly #lease: Lease<unknown>;
  readonly #context: LeaseContext;
  readonly #onEnded: () => void;
  readonly #life: Lifecycle<SupersededStep>;
  /** Monotonic time of its intended end; Infinity while a consumer holds it. */
  #endAt = Infinity;
  /** The server was asked to end it, and agreed. */
  #asked = false;
  /** Shared by all callers of {@link retire}. */
  #retiring: Promise<void> | undefined;

  constructor(lease: Lease<unknown>, context: LeaseContext, onEnded: () => void) {
    this.#lease = lease;
    this.#context = context;
    this.#onEnded = onEnded;
    this.#life = new Lifecycle(context, this, 'active');
  }

  /**
   * Resolves when the server was asked to end the lease, or at once if a consumer holds it.
   *
   * @param renewal the request about it that was under way when it was superseded
   */
  async start(grace: number, renewal?: Promise<void>): Promise<void> {
    const lease = this.#lease;
    // The shutdown revokes its token, and the lease with it.
    if (!lease.held && lease.token.revocable && this.#context.revoking()) return;
    if (renewal) this.#life.follow(renewal);
    if (!lease.held) return this.retire(grace);
    lease.whenDrained(() => {
      if (this.#life.phase === 'closed') return;
      const { clock, emit } = this.#context;
      const { path, serial } = this.#lease;
      if (this.#lease.left(clock) > 0) emit({ type: 'drained', path, serial });
      void this.retire(0);
    });
    this.wake();
  }

  wake(): void {
    this.#life.wake();
  }

  /** @param grace milliseconds for which it may live on, unless its end was set before */
  async retire(grace: number): Promise<void> {
    const { clock, changed } = this.#context;
    changed();
    this.#endAt = Math.min(this.#endAt, clock.monotonic() + grace);
    this.#retiring ??= this.#retireNow().finally(() => (this.#retiring = undefined));
    return this.#retiring;
  }

  /** Asks at least once, whatever delay a failed request has left behind: the process may be about to end. */
  async #retireNow(): Promise<void> {
    await this.#life.work;
    this.#life.retryWithin(0);
    await this.#life.attempt();
  }

  observe(): void {
    const lease = this.#lease;
    const left = this.#remaining();
    if (left > 0) {
      this.#life.signal('renewed');
      if (lease.held && left <= BEFORE_END) lease.notifyEnding();
    } else if (!this.#life.work) {
      const verifiable = this.#isVerifiable();
      // The question whether it is alive does not wait for the retry of an earlier renewal.
      if (verifiable) this.#life.retryWithin(0);
      this.#life.signal(verifiable ? 'overdue' : 'ended');
    }
  }

  untilObserved(): number {
    const left = this.#remaining();
    // Past the deadline, the request under way decides, and its end wakes this.
    if (left <= 0) return Infinity;
    return this.#lease.held && left > BEFORE_END ? left - BEFORE_END : left;
  }

  plan(): SupersededStep | undefined {
    const { clock, options, session } = this.#context;
    const { phase } = this.#life;
    if (phase === 'retiring') return undefined;
    if (this.#endAt < Infinity) return { action: 'retire', in: 0 };
    if (session.closed) return undefined;
    if (phase === 'uncertain') return { action: 'renew', in: 0 };
    const step = nextHeldStep(this.#lease.view(clock), options.renewal);
    return step.action === 'renew' ? step : undefined;
  }

  run({ action }: SupersededStep): Promise<void> {
    return action === 'renew' ? this.#renew() : this.#retire();
  }

  onPhase(_: Phase, after: Phase): void {
    if (after === 'ended') this.#end();
  }

  /** Only its holders need it, and the deadline may have passed by the local clocks alone: then the server is asked once. */
  #isVerifiable(): boolean {
    const { clock, session } = this.#context;
    const { token, grant, held, ended } = this.#lease;
    if (this.#life.phase !== 'active' || this.#endAt < Infinity || session.closed) return false;
    return held && grant.renewable && !ended && grant.maxTtl !== 'reached' && token.left(clock) > 0;
  }

  #next(): NextStep {
    const step = this.plan();
    if (!step) return { action: 'none', reason: 'superseded' };
    return this.#life.retry.next({ ...step, reason: 'superseded' });
  }

  async #renew(): Promise<void> {
    try {
      const { update } = await renewLease(this.#lease, this.#context);
      const { ttl } = this.#lease.grant;
      this.#life.adopt(this.#lease, update);
      this.#life.succeed();
      if (update.kind === 'renewed') this.#context.emit(renewed(this.#lease, ttl, this.#next()));
    } catch (error) {
      this.#failed(error);
    }
  }

  /** If the server cannot be asked, the lease ends by its own TTL. */
  async #retire(): Promise<void> {
    const { clock, revoking } = this.#context;
    const seconds = Math.max(Math.ceil((this.#endAt - clock.monotonic()) / 1_000), SHORTEST_INCREMENT);
    if (isWorthRetiring(this.#lease, clock, seconds) && !revoking()) {
      try {
        const { update } = await renewLease(this.#lease, this.#context, seconds);
        this.#life.adopt(this.#lease, update);
        if (update.kind === 'retired') this.#onRetired();
      } catch (error) {
        return this.#failed(error);
      }
    }
    this.#life.signal('retired');
  }

  #onRetired(): void {
    const { path, serial } = this.#lease;
    this.#asked = true;
    this.#context.emit({ type: 'retired', path, serial, how: 'asked' });
  }

  #failed(error: unknown): void {
    const left = this.#lease.left(this.#context.clock);
    this.#life.fail('renewal', error as VaultError, { left, ttl: Infinity });
  }

  /**
   * Milliseconds. One that cannot be renewed ends only with its token, so it is needed no longer than its grace period,
   * in order not to delay the revocation of the token.
   */
  #remaining(): number {
    const { clock, session } = this.#context;
    const lease = this.#lease;
    const left = lease.left(clock);
    if (lease.grant.renewable || lease.held || !session.willRevoke(lease.token)) return left;
    return Math.min(left, this.#endAt - clock.monotonic());
  }

  #end(): void {
    const { session, clock, emit, changed } = this.#context;
    const lease = this.#lease;
    const how = lease.left(clock) > 0 || lease.token.left(clock) <= 0 ? 'with-token' : 'expired';
    this.#life.signal('closed');
    this.#life.adopt(lease, { kind: 'ended' });
    this.#onEnded();
    if (!this.#asked) emit({ type: 'retired', path: lease.path, serial: lease.serial, how });
    session.released(lease.token, lease);
    changed();
  }
}
