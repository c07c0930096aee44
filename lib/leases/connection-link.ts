import type { Clock } from '../clock/clock.js';
import type { VaultPoolMessage } from '../events/channels.js';
import type { EventInit } from '../events/events.js';
import type { PoolStatus } from '../events/status.js';

/**
 * The part of a connection that a pool uses. A pool gets only a stream of snapshots, which the application may have
 * piped, so the lease of each snapshot carries it.
 */
export interface ConnectionLink {
  readonly clock: Clock;
  emit(event: EventInit): void;
  /** Publishes an event of a pool for diagnostics. */
  poolEvent(event: Omit<VaultPoolMessage, 'source'>): void;
  /** Lists a pool in the status of the connection. The returned function removes it. */
  addPool(status: () => PoolStatus): () => void;
  /**
   * Resolves when no pool of a path logs in with an earlier lease than `serial`; also at the end of the connection.
   */
  whenPoolsUse(path: string, serial: number): Promise<void>;
  /** The status of a pool has changed. */
  poolChanged(): void;
}

/** Found in each copy of this package: an application may load the ESM copy and the CommonJS copy. */
export const LINK = Symbol.for('nestjs-vault.connection-link');

/** The connection that a lease comes from; undefined for a snapshot that a test makes by hand. */
export function linkOf(lease: object): ConnectionLink | undefined {
  return (lease as { [LINK]?: ConnectionLink })[LINK];
}
