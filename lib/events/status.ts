import type { VaultError } from '../errors/vault-error.js';
import type { ConnectionCounters } from './counters.js';

/** The next step of a token or a lease, with its time and reason. */
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
   * `pending`: not issued yet; `valid`; `degraded`: valid, but the last attempt to renew or rotate failed, or a consumer was
   * rejected with it; `expired`: the last lease has ended, and there is no new one.
   */
  state: 'pending' | 'valid' | 'degraded' | 'expired';
  /** The deadline of the lease or of its token, whichever is earlier. */
  validUntil?: Date;
  next: NextStep;
  /** Number of consecutive failed attempts. */
  attempt: number;
  error?: VaultError;
  /** Number of superseded leases that are held or have not ended yet. */
  superseded: number;
  /**
   * Set if consumers requested a longer drain than the known TTLs allow: their work beyond that fails. In milliseconds.
   */
  drain?: { needed: number; allowed: number };
}

/**
 * One watched KV secret.
 *
 * @publicApi
 */
export interface SecretStatus {
  /** The path with its mount. */
  path: string;
  /**
   * `degraded`: the last read failed, and the previous value is in use; `gone`: the server has no such secret any more.
   */
  state: 'pending' | 'valid' | 'degraded' | 'gone';
  /** KV v2 only. */
  version?: number;
  next: NextStep;
  /** Number of consecutive failed reads. */
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
  sequence: number;
  validUntil?: Date;
  next: NextStep;
  attempt: number;
  error?: VaultError;
}

/**
 * The tokens and leases of all connections, with their deadlines and next steps.
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
   * `up`: the token and every secret are valid; `degraded`: all are valid, but the last attempt to renew, rotate or read one
   * failed, or a consumer was rejected with one; `down`: the token or a secret is missing or expired.
   */
  health: 'up' | 'degraded' | 'down';
  session: SessionStatus;
  leases: readonly LeaseStatus[];
  /** Watched KV secrets. */
  secrets: readonly SecretStatus[];
  counters: ConnectionCounters;
}

/** The worst state of token, leases and secrets. */
export function healthOf(
  session: SessionStatus,
  leases: readonly LeaseStatus[],
  secrets: readonly SecretStatus[],
): ConnectionStatus['health'] {
  const states = [session, ...leases, ...secrets].map(({ state }) => state);
  if (states.every((state) => state === 'valid')) return 'up';
  return states.every((state) => state === 'valid' || state === 'degraded') ? 'degraded' : 'down';
}
