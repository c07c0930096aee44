import type { VaultError } from '../errors/vault-error.js';
import type { EventInit, RotationReason } from '../events/events.js';
import type { Lease } from './lease.js';
import type { LeaseContext } from './lease-context.js';

/** Different warnings of one path at most: a server may send another text at each renewal. */
const MAX_KINDS = 100;

/** The event of a renewal. */
export function renewed(lease: Lease<unknown>, previousTtl: number): EventInit {
  const { path, serial } = lease;
  const { ttl, maxTtl } = lease.grant;
  const capped = maxTtl !== 'far';
  return { type: 'renewed', path, serial, validUntil: lease.validUntil(), ttl, previousTtl, capped };
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

  issued(lease: Lease<unknown>, warnings: readonly string[]): void {
    const { serial, grant } = lease;
    const { renewable } = grant;
    this.#emit({ type: 'issued', path: this.#path, serial, validUntil: lease.validUntil(), renewable });
    for (const message of warnings) this.#emit({ type: 'warning', path: this.#path, message });
  }

  renewed(lease: Lease<unknown>, previousTtl: number): void {
    this.#emit(renewed(lease, previousTtl));
  }

  rotated(lease: Lease<unknown>, reason: RotationReason = 'expired'): void {
    const { serial } = lease;
    this.#emit({ type: 'rotated', path: this.#path, serial, reason, validUntil: lease.validUntil() });
  }

  expired({ serial }: Lease<unknown>, error: VaultError | undefined): void {
    this.#emit({ type: 'expired', path: this.#path, serial, ...(error && { error }) });
  }

  renewalFailed(lease: Lease<unknown>, error: VaultError, retryAt: Date): void {
    const { serial } = lease;
    const validUntil = lease.validUntil();
    this.#emit({ type: 'renewal-failed', path: this.#path, serial, error, retryAt, validUntil });
  }

  rotationFailed(
    lease: Lease<unknown> | undefined,
    error: VaultError,
    retryAt: Date,
    reason: RotationReason | 'first' = 'first',
  ): void {
    const validUntil = lease && { validUntil: lease.validUntil() };
    this.#emit({ type: 'rotation-failed', path: this.#path, reason, error, retryAt, ...validUntil });
  }

  /** The server has not rotated the secret; emitted once for each lease. */
  rotationOverdue(lease: Lease<unknown>, error: VaultError, retryAt: Date): void {
    if (this.#overdue === lease.serial) return;
    this.#overdue = lease.serial;
    this.rotationFailed(lease, error, retryAt, 'server');
  }

  /** Emits only the first warning of each kind. */
  warnOnce(kind: string, message: string | undefined): void {
    if (message === undefined || this.#warned?.has(kind)) return;
    if ((this.#warned?.size ?? 0) >= MAX_KINDS) return;
    (this.#warned ??= new Set()).add(kind);
    this.#emit({ type: 'warning', path: this.#path, message });
  }
}
