import { runIsolated } from '../../clock/run-isolated.js';
import type { PoolCounters, PoolEvent, PoolEventDetails } from '../../events/pool-events.js';
import type { PoolRefusal } from '../../events/status.js';
import { linkOf } from '../../leases/connection-link.js';
import type { LeaseInfo } from '../../leases/lease-info.js';
import { clockOf } from './clock-of.js';

/** Counts the events of one pool, and emits them: on the pool, and those for an operator on the connection, too. */
export class PoolEvents {
  /** Package of the driver. */
  readonly pool: string;
  readonly #listener: (event: PoolEvent) => void;
  readonly #counters = {
    rotated: 0,
    'verification-failed': 0,
    refused: 0,
    'drain-timeout': 0,
    warning: 0,
  };
  #lastRefusal: PoolRefusal | undefined;
  #rejectedSince: Date | undefined;

  constructor(pool: string, listener: (event: PoolEvent) => void) {
    this.pool = pool;
    this.#listener = listener;
  }

  /** A copy. */
  get counters(): PoolCounters {
    return { ...this.#counters };
  }

  get lastRefusal(): PoolRefusal | undefined {
    return this.#lastRefusal;
  }

  get rejectedSince(): Date | undefined {
    return this.#rejectedSince;
  }

  emit(lease: LeaseInfo, details: PoolEventDetails): void {
    const { path, serial } = lease;
    const { type } = details;
    const count = type === 'drain-timeout' ? details.count : 1;
    this.#counters[type] += count;
    const link = linkOf(lease);
    link?.poolEvent({ driver: this.pool, path, serial, type, count });
    if (type !== 'rotated') {
      const message = textOf(`${path} #${serial}`, details);
      link?.emit({ type: 'pool-warning', pool: this.pool, path, serial, reason: type, message });
    }
    runIsolated(() => this.#listener({ path, serial, ...details }));
  }

  /** Records a failed login for the status. */
  recordRefusal(lease: LeaseInfo, error: unknown, confirmed: boolean): void {
    const { path, serial } = lease;
    const at = new Date(clockOf({ lease }).wall());
    this.#lastRefusal = { at, path, serial, code: codeOf(error), confirmed };
    if (confirmed) this.#rejectedSince ??= at;
  }

  /** Records for the status that a login worked. */
  recordLogin(): void {
    this.#rejectedSince = undefined;
  }
}

/** The text for an operator. */
function textOf(lease: string, event: Exclude<PoolEventDetails, { type: 'rotated' }>): string {
  switch (event.type) {
    case 'verification-failed':
      return `Cannot log in with ${lease}: ${codeOf(event.error)}. Open connections stay in use; Vault is asked whether the lease is valid.`;
    case 'refused':
      return `The login with ${lease} was rejected; new credentials are requested.`;
    case 'drain-timeout':
      return `Closed ${event.count} connection(s) of ${lease} that were still in use at the end of the drain window.`;
    case 'warning':
      return `${lease}: ${event.message}`;
  }
}

/** The code or the name of an error. Messages of drivers may hold secrets, so they are not logged. */
function codeOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown };
  if (typeof code === 'number') return String(code);
  return [code, name].find((one) => typeof one === 'string') ?? 'unknown error';
}
