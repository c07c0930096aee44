import type { VaultError } from '../errors/vault-error.js';
import type { ConnectionCounters } from './counters.js';

/** What is to happen next to a token or a lease, when, and why. */
export interface NextStep {
  action: 'login' | 'renew' | 'issue' | 'retire' | 'read' | 'none';
  at?: Date;
  reason: string;
}

/**
 * One secret of a connection.
 *
 * @publicApi
 */
export interface LeaseStatus {
  path: string;
  /**
   * `pending`: never issued yet; `valid`; `degraded`: valid, but the last try to renew or rotate
   * failed, or a consumer was refused with it;
   * `expired`: there was one, and there is none now.
   */
  state: 'pending' | 'valid' | 'degraded' | 'expired';
  /** The earlier of the lease's and its token's end. */
  validUntil?: Date;
  next: NextStep;
  /** Failed tries in a row. */
  attempt: number;
  error?: VaultError;
  /** Superseded leases that are still held or not yet over. */
  superseded: number;
  /**
   * Consumers said that they need longer to let go of a lease than its TTLs leave them, as far as is known: what they
   * do in the rest fails. Milliseconds.
   */
  drain?: { needed: number; allowed: number };
}

/**
 * One KV secret that is watched.
 *
 * @publicApi
 */
export interface SecretStatus {
  /** With its mount. */
  path: string;
  /** `degraded`: the last read failed, and the value before is in use; `gone`: the server has it no more. */
  state: 'pending' | 'valid' | 'degraded' | 'gone';
  /** KV v2 only. */
  version?: number;
  next: NextStep;
  /** Failed reads in a row. */
  attempt: number;
  error?: VaultError;
}

/**
 * The token of a connection.
 *
 * @publicApi
 */
export interface SessionStatus {
  state: 'none' | 'valid' | 'degraded' | 'expired' | 'closed';
  /** Counts the tokens of this connection, from 1. */
  generation: number;
  validUntil?: Date;
  next: NextStep;
  attempt: number;
  error?: VaultError;
}

/**
 * What is held, until when, and what happens next.
 *
 * @publicApi
 */
export interface VaultStatus {
  connections: readonly ConnectionStatus[];
}

/**
 * One connection.
 *
 * @publicApi
 */
export interface ConnectionStatus {
  name: string;
  /**
   * `up`: the token works and every secret is valid; `degraded`: all of them still work, but the last try to renew,
   * rotate or read one failed, or a consumer was refused with one; `down`: the token or a secret is missing or over.
   */
  health: 'up' | 'degraded' | 'down';
  session: SessionStatus;
  leases: readonly LeaseStatus[];
  /** KV secrets that somebody watches. */
  secrets: readonly SecretStatus[];
  counters: ConnectionCounters;
}

/** The worst of what it is made of. */
export function healthOf(
  session: SessionStatus,
  leases: readonly LeaseStatus[],
  secrets: readonly SecretStatus[],
): ConnectionStatus['health'] {
  const states = [session, ...leases, ...secrets].map(({ state }) => state);
  if (states.every((state) => state === 'valid')) return 'up';
  return states.every((state) => state === 'valid' || state === 'degraded') ? 'degraded' : 'down';
}
