import type { VaultErrorCode } from '../errors/vault-error.js';
import type { EventInit, LoginReason, RotationReason } from './events.js';

/** The purpose of a request; with the server's own names, if any. @inline */
export type Operation =
  | 'login'
  | 'renew-self'
  | 'lookup-self'
  | 'revoke-self'
  | 'renew-lease'
  | 'lookup-lease'
  | 'unwrap'
  | 'read'
  | 'list'
  | 'write'
  | 'delete';

/**
 * Requests of one operation since the start.
 *
 * @publicApi
 */
export interface OperationCounter {
  total: number;
  failed: number;
  /** Total duration in milliseconds. */
  milliseconds: number;
}

/**
 * Counters of a connection since its start, for metrics: no number ever decreases. Gauges (leases by state, time to
 * expiry, consecutive failures) come from the rest of the status.
 *
 * @publicApi
 */
export interface ConnectionCounters {
  requests: Readonly<Partial<Record<Operation, Readonly<OperationCounter>>>>;
  /** Failed requests by error code. */
  errors: Readonly<Partial<Record<VaultErrorCode, number>>>;
  logins: Readonly<Partial<Record<LoginReason, number>>>;
  rotations: Readonly<Partial<Record<RotationReason, number>>>;
  /** Leases issued, and renewed. */
  issued: number;
  renewed: number;
  /** Times that consumers were without valid credentials. */
  expired: number;
}

/** Counts for one connection. */
export class Counters {
  readonly #requests: Partial<Record<Operation, OperationCounter>> = {};
  readonly #errors: Partial<Record<VaultErrorCode, number>> = {};
  readonly #logins: Partial<Record<LoginReason, number>> = {};
  readonly #rotations: Partial<Record<RotationReason, number>> = {};
  #issued = 0;
  #renewed = 0;
  #expired = 0;

  request(operation: Operation, milliseconds: number, failure?: VaultErrorCode): void {
    const counter = (this.#requests[operation] ??= { total: 0, failed: 0, milliseconds: 0 });
    counter.total++;
    counter.milliseconds += milliseconds;
    if (failure === undefined) return;
    counter.failed++;
    increment(this.#errors, failure);
  }

  event(event: EventInit): void {
    if (event.type === 'login') increment(this.#logins, event.reason);
    if (event.type === 'rotated') increment(this.#rotations, event.reason);
    if (event.type === 'issued') this.#issued++;
    if (event.type === 'renewed') this.#renewed++;
    if (event.type === 'expired') this.#expired++;
  }

  /** A copy of the current values. */
  get values(): ConnectionCounters {
    return {
      requests: structuredClone(this.#requests),
      errors: { ...this.#errors },
      logins: { ...this.#logins },
      rotations: { ...this.#rotations },
      issued: this.#issued,
      renewed: this.#renewed,
      expired: this.#expired,
    };
  }
}

/** The operation that a request counts as. */
export function operationOf(method: string, path: string): Operation {
  const self = /^auth\/token\/(renew-self|lookup-self|revoke-self)$/.exec(path);
  if (self) return self[1] as Operation;
  if (/^auth\/.+\/login(?:\/[^/]+)?$/.test(path)) return 'login';
  if (path === 'sys/leases/renew') return 'renew-lease';
  if (path === 'sys/leases/lookup') return 'lookup-lease';
  if (path.startsWith('sys/wrapping/')) return 'unwrap';
  if (method === 'GET') return 'read';
  return method === 'LIST' ? 'list' : method === 'DELETE' ? 'delete' : 'write';
}

function increment<K extends string>(counts: Partial<Record<K, number>>, key: K): void {
  counts[key] = ((counts[key] as number | undefined) ?? 0) + 1;
}
