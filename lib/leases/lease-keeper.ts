import { backoff } from '../clock/backoff.js';
import type { Limiter } from '../clock/limiter.js';
import type { Clock } from '../clock/clock.js';
import { remaining } from '../clock/deadline.js';
import type { Scheduler, Task } from '../clock/scheduler.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import { VaultError } from '../errors/vault-error.js';
import { malformed } from '../errors/common-errors.js';
import type { EventInit } from '../events/events.js';
import { refusedToken, type Session } from '../session/session.js';
import { isCapped } from '../session/session-policy.js';
import type { Lease } from './lease.js';
import { nextLeaseStep } from './lease-policy.js';

/** What leases need from the outside. */
export interface LeaseContext {
  session: Session;
  options: ResolvedOptions;
  clock: Clock;
  scheduler: Scheduler;
  limiter: Limiter;
  /** Aborted when shutdown begins to take things down: nothing new is issued then. */
  signal: AbortSignal;
  /** The tokens are about to be revoked, leases and all: no lease need be ended by itself. */
  revoking: () => boolean;
  emit: (event: EventInit) => void;
  changed: () => void;
  random: () => number;
}

const MIN_TIMEOUT = 500;
/** Seconds that a lease lives on which nobody uses any more: the shortest increment there is. */
const SHORTEST = 1;

/**
 * Renews one lease once: adopts what was granted, or throws; what the server says of the lease is kept on it.
 *
 * @returns what to warn of, where the policies do not allow renewals
 */
export async function renewLease(
  lease: Lease<unknown>,
  context: LeaseContext,
  increment?: number,
): Promise<string | undefined> {
  if (lease.generation.spent) {
    lease.renewable = false;
    return undefined;
  }
  const { session, limiter, clock, random, emit } = context;
  const path = 'sys/leases/renew';
  const timeout = Math.max(lease.left(clock) / 2, MIN_TIMEOUT);
  const body = { lease_id: lease.id, ...(increment !== undefined && { increment }) };
  try {
    const response = await limiter.run(() =>
      session.send(lease.generation, { method: 'POST', path, body, timeout }),
    );
    if (response.leaseId !== lease.id) throw malformed(path);
    if (response.leaseDuration <= 0) {
      // Less than a second was left, and that rounds to nothing: what is known of its end still holds.
      lease.capped = true;
      return undefined;
    }
    const granted = response.leaseDuration * 1000;
    if (increment === undefined) lease.capped = isCapped(lease.granted, granted, response.warnings);
    lease.renewable = response.renewable;
    lease.grant(granted, response.sentAt, random);
    const { serial } = lease;
    if (increment !== undefined) {
      lease.retired = true;
      emit({ type: 'retired', path: lease.path, serial, how: 'asked' });
    } else
      emit({
        type: 'renewed',
        path: lease.path,
        serial,
        validUntil: lease.validUntil(),
        capped: lease.capped,
      });
  } catch (error) {
    const { code } = error as VaultError;
    if (code === 'VAULT_LEASE_NOT_FOUND') lease.over = true;
    else if (code === 'VAULT_LEASE_AT_MAX_TTL') lease.capped = true;
    else if (code === 'VAULT_LEASE_NOT_RENEWABLE') lease.renewable = false;
    else if (refusedToken(error) && (await session.isDead(lease.generation))) lease.over = true;
    else if (code === 'VAULT_PERMISSION_DENIED' || code === 'VAULT_TOKEN_INVALID') {
      lease.renewable = false;
      return `Leases may not be renewed, so they are issued anew in time. ${(error as VaultError).hint}`;
    } else throw error;
  }
  return undefined;
}

interface Entry {
  task?: Task;
  /** Failed renewals in a row. */
  attempt: number;
  /** Seconds after which the server is to end it, once nobody holds it any more. */
  leaving?: number;
  /** The server is being asked to, or was. */
  retiring?: Promise<void>;
}

/**
 * Takes care of superseded leases: renewed while somebody holds them, then ended by the server, then forgotten.
 */
export class LeaseKeeper {
  readonly #context: LeaseContext;
  readonly #entries = new Map<Lease<unknown>, Entry>();

  constructor(context: LeaseContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Some of them are in use. */
  get held(): boolean {
    return [...this.#entries.keys()].some((lease) => lease.held);
  }

  /**
   * Resolves when the server was asked to end it, or somebody holds it.
   *
   * @param grace milliseconds for those who use it without a hold
   */
  async take(lease: Lease<unknown>, grace: number): Promise<void> {
    if (lease.id === '') return;
    this.#entries.set(lease, { attempt: 0 });
    if (!lease.held) return this.#retire(lease, Math.ceil(grace / 1000));
    lease.whenDrained(() => {
      const { clock, emit } = this.#context;
      if (!this.#entries.has(lease)) return;
      if (lease.left(clock) > 0) emit({ type: 'drained', path: lease.path, serial: lease.serial });
      void this.#retire(lease, SHORTEST);
    });
    this.#tend(lease);
  }

  /** Lets the server end all of them soon, held or not; for tokens that outlive this process. */
  async retireAll(): Promise<void> {
    await Promise.all([...this.#entries.keys()].map((lease) => this.#retire(lease, SHORTEST)));
  }

  #tend(lease: Lease<unknown>): void {
    const { clock, options, session, random } = this.#context;
    const entry = this.#entries.get(lease);
    if (!entry) return;
    const left = lease.left(clock);
    if (left <= 0) return this.#drop(lease, lease.generation.left(clock) <= 0 ? 'with-token' : 'expired');
    // That there is a newer token is no reason to let go of a lease that somebody still uses.
    const step = nextLeaseStep({ ...lease.view(clock), superseded: undefined }, options.renewal);
    if (entry.leaving !== undefined && !entry.retiring && !session.closed)
      return void this.#retire(lease, entry.leaving);
    if (step.action !== 'renew' || entry.retiring || session.closed) return this.#sleep(lease, left);
    if (step.in > 0) return this.#sleep(lease, Math.min(step.in, left));
    this.#sleep(lease, left);
    renewLease(lease, this.#context).then(
      () => {
        entry.attempt = 0;
        this.#tend(lease);
      },
      () => {
        const now = lease.left(clock);
        this.#sleep(lease, Math.min(backoff(++entry.attempt, options.retry, now, random), now));
      },
    );
  }

  #retire(lease: Lease<unknown>, seconds: number): Promise<void> {
    const entry = this.#entries.get(lease);
    if (!entry) return Promise.resolve();
    this.#context.changed();
    entry.leaving = seconds;
    entry.retiring ??= Promise.resolve().then(() => this.#ask(lease, entry, seconds));
    return entry.retiring;
  }

  /** Where the server cannot be asked, the lease ends by its own TTL. */
  async #ask(lease: Lease<unknown>, entry: Entry, seconds: number): Promise<void> {
    const { clock, options, random, revoking } = this.#context;
    // A token that is in use will be renewed, and does not end the lease.
    const superseded = lease.generation.supersededAt !== undefined;
    const life = superseded || lease.over ? lease.left(clock) : remaining(lease.deadline, clock);
    if (lease.renewable && life > seconds * 1000 + 1_000 && !revoking()) {
      try {
        await renewLease(lease, this.#context, Math.max(seconds, SHORTEST));
      } catch {
        delete entry.retiring;
        const left = lease.left(clock);
        return this.#sleep(lease, Math.min(backoff(++entry.attempt, options.retry, left, random), left));
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

  #drop(lease: Lease<unknown>, how: 'expired' | 'with-token'): void {
    const { session, emit, changed } = this.#context;
    this.#entries.get(lease)?.task?.cancel();
    this.#entries.delete(lease);
    lease.over = true;
    if (!lease.retired) emit({ type: 'retired', path: lease.path, serial: lease.serial, how });
    session.released(lease.generation, lease);
    changed();
  }
}
