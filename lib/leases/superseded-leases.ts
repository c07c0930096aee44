import { backoff } from '../retry/backoff.js';
import type { Task } from '../clock/scheduler.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';
import { nextHeldStep } from './lease-policy.js';
import { renewLease } from './renew-lease.js';
import { isWorthRetiring, SHORTEST } from './retirement.js';

/** Milliseconds before its end at which those who hold it are told: what they do then is closed, and not cut off. */
const ENDING = 500;

interface Entry {
  task?: Task;
  /** Failed renewals in a row. */
  attempt: number;
  /** The renewal under way, which has to be over before anything else is asked of the lease. */
  renewing?: Promise<void> | undefined;
  /** Monotonic time at which it is to be over; Infinity as long as somebody holds it. */
  leaving: number;
  /** It seemed to be over before its time, and the server was asked. */
  looked?: boolean;
  /** The server is being asked to end it, or was. */
  retiring?: Promise<void>;
}

/** Most of the time there are none, and there may be a keeper for each of ten thousand paths. */
const NONE = new Map<Lease<unknown>, Entry>();

/**
 * Takes care of superseded leases: renewed while somebody holds them, then ended by the server, then forgotten.
 */
export class SupersededLeases {
  readonly #context: LeaseContext;
  #entries = NONE;

  constructor(context: LeaseContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#entries.size;
  }

  get leases(): Lease<unknown>[] {
    return [...this.#entries.keys()];
  }

  /** Whether one of them has this id. */
  has(id: string): boolean {
    return this.leases.some((lease) => lease.id === id);
  }

  /** Some of them are in use. */
  get held(): boolean {
    return this.leases.some((lease) => lease.held);
  }

  /**
   * Resolves when the server was asked to end it, or somebody holds it.
   *
   * @param grace milliseconds for those who use it without a hold
   * @param renewing the renewal under way, if there is one
   */
  async take(lease: Lease<unknown>, grace: number, renewing?: Promise<void>): Promise<void> {
    if (lease.id === '') return;
    const entry: Entry = { attempt: 0, leaving: Infinity };
    entry.renewing = renewing?.then(() => this.#renewed(lease, entry));
    if (this.#entries === NONE) this.#entries = new Map();
    this.#entries.set(lease, entry);
    if (!lease.held) return this.#retire(lease, grace);
    lease.whenDrained(() => {
      const { clock, emit } = this.#context;
      if (!this.#entries.has(lease)) return;
      if (lease.left(clock) > 0) emit({ type: 'drained', path: lease.path, serial: lease.serial });
      void this.#retire(lease, 0);
    });
    this.#tend(lease);
  }

  /** There is another token: what waits for the old one to end may go now. */
  tokenChanged(): void {
    for (const lease of this.#entries.keys()) this.#tend(lease);
  }

  /** Lets the server end all of them soon, held or not; for tokens that outlive this process. */
  async retireAll(): Promise<void> {
    await Promise.all(this.leases.map((lease) => this.#retire(lease, 0)));
  }

  #tend(lease: Lease<unknown>): void {
    const { session, clock, options } = this.#context;
    const entry = this.#entries.get(lease);
    if (!entry) return;
    const left = this.#needed(lease, entry);
    if (left <= 0) {
      // The answer tells; either way this is looked at again.
      if (entry.renewing) return;
      return this.#isSurprise(lease, entry) ? this.#look(lease, entry) : this.#drop(lease);
    }
    if (entry.leaving < Infinity && !entry.retiring && !session.closed) return void this.#retire(lease);
    if (lease.held && left <= ENDING) lease.ending();
    const step = nextHeldStep(lease.view(clock), options.renewal);
    const idle = entry.renewing || entry.retiring || session.closed;
    const rest = lease.held && left > ENDING ? left - ENDING : left;
    if (step.action !== 'renew' || idle) return this.#sleep(lease, rest);
    if (step.in > 0) return this.#sleep(lease, Math.min(step.in, rest));
    this.#sleep(lease, rest);
    this.#renew(lease, entry);
  }

  /** A timer that came late, or a clock that was set: whether it still lives is asked, once, and not assumed. */
  #isSurprise(lease: Lease<unknown>, entry: Entry): boolean {
    const { clock, session } = this.#context;
    const { token, grant } = lease;
    const asked = entry.looked || entry.retiring || entry.leaving < Infinity;
    if (asked || !lease.held || !lease.renewable || lease.over || session.closed) return false;
    return grant.maxTtl !== 'reached' && token.left(clock) > 0;
  }

  #look(lease: Lease<unknown>, entry: Entry): void {
    entry.looked = true;
    this.#renew(lease, entry);
  }

  #renew(lease: Lease<unknown>, entry: Entry): void {
    const { clock, options, random } = this.#context;
    entry.renewing = renewLease(lease, this.#context).then(
      () => {
        entry.attempt = 0;
        this.#renewed(lease, entry);
      },
      () => {
        const now = lease.left(clock);
        entry.renewing = undefined;
        this.#sleep(
          lease,
          Math.min(backoff(++entry.attempt, options.retry, { left: now, ttl: Infinity }, random), now),
        );
      },
    );
  }

  #renewed(lease: Lease<unknown>, entry: Entry): void {
    entry.renewing = undefined;
    if (lease.left(this.#context.clock) > 0) entry.looked = false;
    this.#tend(lease);
  }

  /** Milliseconds. What no renewal can end any more ends with its token, and lets go of that as soon as it may. */
  #needed(lease: Lease<unknown>, entry: Entry): number {
    const { clock, session } = this.#context;
    const left = lease.left(clock);
    if (lease.renewable || lease.held || !session.willRevoke(lease.token)) return left;
    return Math.min(left, entry.leaving - clock.monotonic());
  }

  /** @param grace milliseconds that it may live on, where that was not said before */
  #retire(lease: Lease<unknown>, grace = Infinity): Promise<void> {
    const entry = this.#entries.get(lease);
    if (!entry) return Promise.resolve();
    const { clock, changed } = this.#context;
    changed();
    entry.leaving = Math.min(entry.leaving, clock.monotonic() + grace);
    entry.retiring ??= Promise.resolve(entry.renewing).then(() => this.#ask(lease, entry));
    return entry.retiring;
  }

  /** Where the server cannot be asked, the lease ends by its own TTL. */
  async #ask(lease: Lease<unknown>, entry: Entry): Promise<void> {
    const { clock, options, random, revoking } = this.#context;
    const seconds = Math.max(Math.ceil((entry.leaving - clock.monotonic()) / 1000), SHORTEST);
    if (isWorthRetiring(lease, clock, seconds) && !revoking()) {
      try {
        await renewLease(lease, this.#context, seconds);
      } catch {
        delete entry.retiring;
        const left = lease.left(clock);
        return this.#sleep(
          lease,
          Math.min(backoff(++entry.attempt, options.retry, { left, ttl: Infinity }, random), left),
        );
      }
    }
    this.#tend(lease);
  }

  #sleep(lease: Lease<unknown>, delay: number): void {
    const entry = this.#entries.get(lease);
    if (!entry) return;
    const { clock, scheduler } = this.#context;
    entry.task?.cancel();
    entry.task = scheduler.at(clock.monotonic() + Math.max(delay, 0), () => this.#tend(lease));
  }

  #drop(lease: Lease<unknown>): void {
    const { session, clock, emit, changed } = this.#context;
    const how = lease.left(clock) > 0 || lease.token.left(clock) <= 0 ? 'with-token' : 'expired';
    this.#entries.get(lease)?.task?.cancel();
    this.#entries.delete(lease);
    lease.over = true;
    if (!lease.retired) emit({ type: 'retired', path: lease.path, serial: lease.serial, how });
    session.released(lease.token, lease);
    changed();
  }
}
