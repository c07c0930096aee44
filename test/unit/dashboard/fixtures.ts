import { VaultError } from '../../../lib/errors/vault-error.js';
import type {
  ConnectionStatus,
  LeaseStatus,
  PoolStatus,
  SessionStatus,
  VaultStatus,
} from '../../../lib/events/status.js';

export const NOW = new Date('2026-11-30T12:00:00Z');
/** A time some milliseconds from now. */
export const inTime = (milliseconds: number) => new Date(NOW.getTime() + milliseconds);

export const UNREACHABLE = new VaultError({
  code: 'VAULT_UNREACHABLE',
  message: 'The server cannot be reached.',
  hint: 'Check the address.',
});

export const session = (changes: Partial<SessionStatus> = {}): SessionStatus => ({
  state: 'valid',
  sequence: 1,
  ttl: 20_000,
  validUntil: inTime(16_200),
  endsBy: 'ttl',
  next: { action: 'renew', at: inTime(9_500), reason: 'renewal' },
  attempt: 0,
  ...changes,
});

export const lease = (changes: Partial<LeaseStatus> = {}): LeaseStatus => ({
  path: 'database/creds/orders',
  state: 'valid',
  serial: 2,
  ttl: 10_000,
  validUntil: inTime(6_200),
  endsBy: 'ttl',
  next: { action: 'renew', at: inTime(2_800), reason: 'renewal' },
  attempt: 0,
  superseded: 0,
  ending: [],
  ...changes,
});

export const pool = (changes: Partial<PoolStatus> = {}): PoolStatus => ({
  driver: 'pg',
  path: 'database/creds/orders',
  serial: 2,
  connections: 4,
  superseded: 0,
  drains: [],
  counters: { rotated: 1, 'verification-failed': 0, refused: 0, 'drain-timeout': 0, warning: 0 },
  ...changes,
});

export const connection = (changes: Partial<ConnectionStatus> = {}): ConnectionStatus => ({
  name: 'default',
  health: 'up',
  session: session(),
  leases: [lease()],
  secrets: [],
  pools: [pool()],
  counters: {
    requests: {
      login: { total: 1, failed: 0, milliseconds: 5 },
      read: { total: 2, failed: 0, milliseconds: 5 },
    },
    errors: {},
    logins: { start: 1 },
    rotations: { 'max-ttl': 1 },
    issued: 2,
    renewed: 3,
    expired: 0,
  },
  ...changes,
});

export const status = (...connections: ConnectionStatus[]): VaultStatus => ({ connections });
