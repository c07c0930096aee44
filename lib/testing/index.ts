export { fixedCredentials } from './fixed-credentials.js';
export { SimulatedVault, type SimulatedVaultOptions } from './simulated-vault.js';
export { VirtualClock } from './virtual-clock.js';
export { VaultTestingModule, type VaultTestingOptions } from './vault-testing.module.js';
export type {
  AppRoleHandle,
  KvHandle,
  SimulatedAppRole,
  SimulatedDatabaseRole,
  SimulatedNamespace,
  SimulatedStaticRole,
  SimulatedToken,
} from './set-up.js';
export type { LiveLease } from './leases.js';
export type { SimulatedLeasedSecret } from './leased-secrets.js';
export type { Duration } from './duration.js';
export type { Which } from './faults.js';
export type { NodeState } from './health.js';
export type { HistoryEntry, RequestMatcher } from './history.js';
export type { RateLimit } from './rate-limits.js';
export type { RunSql } from './core.js';
export type { Capability } from './policies.js';
export type { Clock } from '../clock/clock.js';
export type { Sender, TransportRequest, TransportResponse } from '../client/transport.js';
