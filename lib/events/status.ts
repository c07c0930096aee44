import type { VaultError } from '../errors/vault-error.js';
import type { ConnectionCounters } from './counters.js';
import type { NextStep } from './next-step.js';
import type { PoolCounters } from './pool-events.js';

/**
 * The reason for a deadline: the granted TTL, which a renewal extends, or the max TTL, which none does.
 *
 * @publicApi
 */
export type EndReason = 'ttl' | 'max-ttl';

/**
 * A superseded lease that has not ended yet.
 *
 * @publicApi
 */
export interface EndingLease {
  /** Serial number within its path. */
  serial: number;
  /** Milliseconds that the server granted last; absent if it does not end. */
  ttl?: number;
  /** The deadline of the lease or of its token, whichever is earlier. */
  validUntil: Date;
  /** Whether a consumer still needs it, such as a pool with connections in use. */
  held: boolean;
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
  /** Serial number of the lease within its path; absent before the first one. */
  serial?: number;
  /** Milliseconds that the server granted at the issue or by the last renewal; absent if it does not end. */
  ttl?: number;
  /** The deadline of the lease or of its token, whichever is earlier. */
  validUntil?: Date;
  /** The reason for that deadline; absent if there is none. */
  endsBy?: EndReason | 'token';
  next: NextStep;
  /** Number of consecutive failed attempts. */
  attempt: number;
  error?: VaultError;
  /** Number of superseded leases that are held or have not ended yet. */
  superseded: number;
  /** These leases. */
  ending: readonly EndingLease[];
  /**
   * Set if consumers requested a longer drain than the known TTLs allow: their work beyond that fails. In milliseconds.
   */
  drain?: { needed: number; allowed: number };
}

/**
 * One watched KV secret, or a folder of them.
 *
 * @publicApi
 */
export interface SecretStatus {
  /** The path with its mount; that of a folder ends in a slash. */
  path: string;
  /**
   * `degraded`: the last read failed, or a schema refuses the new value, and the previous one is in use; `gone`: the server
   * has no such secret any more.
   */
  state: 'pending' | 'valid' | 'degraded' | 'gone';
  /** KV v2 only, and none of a folder. */
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
  /** Milliseconds that the server granted at the login or by the last renewal; absent if it does not end. */
  ttl?: number;
  validUntil?: Date;
  /** The reason for that deadline; absent if there is none. */
  endsBy?: EndReason;
  next: NextStep;
  attempt: number;
  error?: VaultError;
}

/**
 * A pool, or a client with rotating credentials. A pool is listed from its first credentials until its last connection
 * is closed. Credentials of several connections (Vault) list it at each of them, with its share.
 *
 * @publicApi
 */
export interface PoolStatus {
  /** Package of the driver: `pg`, `mysql2`, `mongodb`, `redis`, `ioredis`, `amqp-connection-manager`. */
  driver: string;
  /** API path of the credentials. */
  path: string;
  /** Serial number of the lease that new connections log in with; absent if it is not one of this connection. */
  serial?: number;
  /** Number of open connections of these credentials. For MongoDB: of clients. */
  connections: number;
  /** Number of open connections of earlier credentials. */
  superseded: number;
  /** Earlier credentials whose connections may finish their work. */
  drains: readonly PoolDrain[];
  /** The last login that failed, also if a later one succeeded. */
  lastRefusal?: PoolRefusal;
  /**
   * Since when the server of the driver rejects each user of this pool for certain. Absent before the first rejection, and
   * again after a login that worked.
   */
  rejectedSince?: Date;
  /** Number of events of each type since the pool was created. */
  counters: PoolCounters;
}

/**
 * Connections of earlier credentials that finish their work.
 *
 * @publicApi
 */
export interface PoolDrain {
  /** Serial number of their lease. */
  serial: number;
  /** Number of open connections. */
  connections: number;
  /** The time at which connections in use are closed. */
  until: Date;
}

/**
 * A login that failed.
 *
 * @publicApi
 */
export interface PoolRefusal {
  at: Date;
  path: string;
  /** Serial number of the lease. */
  serial: number;
  /** Code of the driver's error, or the error's name: `28P01`, `ER_ACCESS_DENIED_ERROR`, `ECONNREFUSED`. */
  code: string;
  /** Whether the server rejected these credentials for certain. Otherwise it may just be unreachable. */
  confirmed: boolean;
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
   * failed, or a consumer was rejected with one; `down`: the token or a secret is missing or expired. With a deferred login,
   * no token is missing before the first one.
   */
  health: 'up' | 'degraded' | 'down';
  /**
   * Absent while the application runs. `draining`: its shutdown has begun, and requests in flight end; `closed`: tokens and
   * leases have ended.
   */
  shutdown?: 'draining' | 'closed';
  session: SessionStatus;
  leases: readonly LeaseStatus[];
  /** Watched KV secrets. */
  secrets: readonly SecretStatus[];
  /** Pools that use credentials of this connection. */
  pools: readonly PoolStatus[];
  counters: ConnectionCounters;
}

/**
 * The worst state of token, leases and secrets. Without a first login (`startup.login: 'deferred'`), leases and secrets
 * alone say whether something is missing: a login that is sent by requests only would never come in an application that
 * gets none because it is `down`. Pools do not count: a rejected login makes its lease `degraded` until the next one is
 * issued, and a database that is down is none of Vault's failures.
 */
export function healthOf(
  session: SessionStatus,
  leases: readonly LeaseStatus[],
  secrets: readonly SecretStatus[],
): ConnectionStatus['health'] {
  const first = session.attempt > 0 ? 'degraded' : 'valid';
  const token = session.state === 'none' ? first : session.state;
  const isIn = (...states: string[]) => {
    const matches = ({ state }: { readonly state: string }) => states.includes(state);
    return states.includes(token) && leases.every(matches) && secrets.every(matches);
  };
  if (isIn('valid')) return 'up';
  return isIn('valid', 'degraded') ? 'degraded' : 'down';
}
