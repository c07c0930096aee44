import type { Limiter } from '../clock/limiter.js';
import type { Clock } from '../clock/clock.js';
import type { Scheduler, Task } from '../clock/scheduler.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import { VaultError } from '../errors/vault-error.js';
import type { EventInit } from '../events/events.js';
import { malformed, type Session } from '../session/session.js';
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

/** Renews one lease once: adopts what was granted, or throws; what the server says of the lease is kept on it. */
export async function renewLease(
  lease: Lease<unknown>,
  context: LeaseContext,
  increment?: number,
): Promise<void> {
  const { session, limiter, clock, random, emit } = context;
  const path = 'sys/leases/renew';
  const timeout = Math.max(lease.left(clock) / 2, MIN_TIMEOUT);
  const body = { lease_id: lease.id, ...(increment !== undefined && { increment }) };
  try {
    const response = await limiter.run(() =>
      session.send(lease.generation, { method: 'POST', path, body, timeout }),
    );
    if (response.leaseDuration <= 0 || response.leaseId !== lease.id) throw malformed(path);
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
    else if (code === 'VAULT_TOKEN_INVALID' && (await session.isDead(lease.generation))) lease.over = true;
    else if (code === 'VAULT_PERMISSION_DENIED' || code === 'VAULT_TOKEN_INVALID') {
      lease.renewable = false;
      const message = `may not renew leases, so they are issued anew in time: ${(error as VaultError).hint}`;
      emit({ type: 'warning', path: lease.path, message });
    } else throw error;
  }
}

/**
 * Takes care of superseded leases: renewed while somebody holds them, then ended by the server, then forgotten.
 */
export class LeaseKeeper {
  readonly #context: LeaseContext;
  readonly #tasks = new Map<Lease<unknown>, Task | undefined>();

  constructor(context: LeaseContext) {
    this.#context = context;
  }

  get size(): number {
    return this.#tasks.size;
  }

  /** Some of them are in use. */
  get held(): boolean {
    return [...this.#tasks.keys()].some((lease) => lease.held);
  }

  /** `grace`: milliseconds for those who use it without a hold. */
  take(lease: Lease<unknown>, grace: number): void {
    if (lease.id === '') return;
    this.#tasks.set(lease, undefined);
    if (!lease.held) {
      void this.#retire(lease, Math.ceil(grace / 1000));
      return;
    }
    lease.whenDrained(() => {
      const { clock, emit } = this.#context;
      if (!this.#tasks.has(lease)) return;
      if (lease.left(clock) > 0) emit({ type: 'drained', path: lease.path, serial: lease.serial });
      void this.#retire(lease, SHORTEST);
    });
    this.#tend(lease);
  }

  /** Lets the server end all of them soon; for tokens that outlive this process. */
  async retireAll(): Promise<void> {
    await Promise.all([...this.#tasks.keys()].map((lease) => this.#retire(lease, SHORTEST)));
  }

  #tend(lease: Lease<unknown>): void {
    const { clock, options, session } = this.#context;
    const left = lease.left(clock);
    if (left <= 0) return this.#drop(lease, lease.generation.left(clock) <= 0 ? 'with-token' : 'expired');
    // That there is a newer token is no reason to let go of a lease that somebody still uses.
    const step = nextLeaseStep({ ...lease.view(clock), superseded: undefined }, options.renewal);
    if (step.action !== 'renew' || session.closed) return this.#sleep(lease, left);
    if (step.in > 0) return this.#sleep(lease, Math.min(step.in, left));
    this.#sleep(lease, left);
    renewLease(lease, this.#context).then(
      () => this.#tasks.has(lease) && this.#tend(lease),
      () => this.#sleep(lease, Math.min(options.retry.initialDelay, lease.left(clock))),
    );
  }

  async #retire(lease: Lease<unknown>, seconds: number): Promise<void> {
    const { clock, changed, revoking } = this.#context;
    changed();
    if (lease.renewable && lease.left(clock) > seconds * 1000 + 1_000 && !revoking()) {
      // Where the server cannot be asked, the lease ends by its own TTL.
      await renewLease(lease, this.#context, Math.max(seconds, SHORTEST)).catch(() => undefined);
    }
    lease.renewable = false;
    if (this.#tasks.has(lease)) this.#tend(lease);
  }

  #sleep(lease: Lease<unknown>, delay: number): void {
    if (!this.#tasks.has(lease)) return;
    const { clock, scheduler } = this.#context;
    this.#tasks.get(lease)?.cancel();
    this.#tasks.set(
      lease,
      scheduler.at(clock.monotonic() + Math.max(delay, 0), () => this.#tend(lease)),
    );
  }

  #drop(lease: Lease<unknown>, how: 'expired' | 'with-token'): void {
    const { session, emit, changed } = this.#context;
    this.#tasks.get(lease)?.cancel();
    if (!this.#tasks.delete(lease)) return;
    lease.over = true;
    if (!lease.retired) emit({ type: 'retired', path: lease.path, serial: lease.serial, how });
    session.released(lease.generation, lease);
    changed();
  }
}
