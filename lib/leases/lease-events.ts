import type { VaultError } from '../errors/vault-error.js';
import type { EventInit, RotationReason } from '../events/events.js';
import type { WarningCode } from '../events/log-lines.js';
import type { NextStep } from '../events/next-step.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';

/** Different warnings of one path at most: a server may send another text at each renewal. */
const MAX_KINDS = 100;

/** A failed attempt. */
export interface Failure {
  readonly error: VaultError;
  readonly retryAt: Date;
  /** Number of failed attempts in a row. */
  readonly attempt: number;
}

/** The event of a renewal. */
export function renewed(lease: Lease<unknown>, previousTtl: number, next: NextStep): EventInit {
  const { path, serial } = lease;
  const { ttl, maxTtl } = lease.grant;
  const capped = maxTtl !== 'far';
  return { type: 'renewed', path, serial, validUntil: lease.validUntil(), next, ttl, previousTtl, capped };
}

/** Emits the events of one path. */
export class LeaseEvents {
  readonly #path: string;
  readonly #emit: LeaseContext['emit'];
  #warned: Set<string> | undefined;
  /** Serial number of the lease whose overdue rotation was reported. */
  #overdue: number | undefined;

  constructor(path: string, emit: LeaseContext['emit']) {
    this.#path = path;
    this.#emit = emit;
  }

  issued(lease: Lease<unknown>, next: NextStep, warnings: readonly string[]): void {
    const { serial, grant } = lease;
    const { renewable } = grant;
    const path = this.#path;
    this.#emit({ type: 'issued', path, serial, validUntil: lease.validUntil(), next, renewable });
    for (const message of warnings) this.#emit({ type: 'warning', code: 'server-warning', path, message });
  }

  renewed(lease: Lease<unknown>, previousTtl: number, next: NextStep): void {
    this.#emit(renewed(lease, previousTtl, next));
  }

  rotated(lease: Lease<unknown>, next: NextStep, reason: RotationReason = 'expired'): void {
    const { serial } = lease;
    this.#emit({ type: 'rotated', path: this.#path, serial, reason, validUntil: lease.validUntil(), next });
  }

  expired({ serial }: Lease<unknown>, error: VaultError | undefined): void {
    this.#emit({ type: 'expired', path: this.#path, serial, ...(error && { error }) });
  }

  renewalFailed(lease: Lease<unknown>, failure: Failure): void {
    const { serial } = lease;
    const validUntil = lease.validUntil();
    this.#emit({ type: 'renewal-failed', path: this.#path, serial, ...failure, validUntil });
  }

  rotationFailed(
    lease: Lease<unknown> | undefined,
    failure: Failure,
    reason: RotationReason | 'first' = 'first',
  ): void {
    const validUntil = lease && { validUntil: lease.validUntil() };
    this.#emit({ type: 'rotation-failed', path: this.#path, reason, ...failure, ...validUntil });
  }

  /** The server has not rotated the secret; emitted once for each lease. */
  rotationOverdue(lease: Lease<unknown>, failure: Failure): void {
    if (this.#overdue === lease.serial) return;
    this.#overdue = lease.serial;
    this.rotationFailed(lease, failure, 'server');
  }

  /** Emits only the first warning of each kind, and each different warning of the server. */
  warnOnce(code: WarningCode, message: string | undefined): void {
    if (message === undefined) return;
    const kind = code === 'server-warning' ? message : code;
    if (this.#warned?.has(kind)) return;
    if ((this.#warned?.size ?? 0) >= MAX_KINDS) return;
    (this.#warned ??= new Set()).add(kind);
    this.#emit({ type: 'warning', code, path: this.#path, message });
  }
}
