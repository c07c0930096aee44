export { fixedCredentials } from './fixed-credentials.js';
export { SimulatedVault, type LiveLease, type SimulatedVaultOptions } from './simulated-vault.js';
export { VirtualClock } from './clock/virtual-clock.js';
export { VaultTestingModule, type VaultTestingOptions } from './vault-testing.module.js';
export type {
  KvHandle,
  SimulatedDatabaseRole,
  SimulatedNamespace,
  SimulatedStaticRole,
} from './simulated-namespace.js';
export type {
  AppRoleHandle,
  JwtRoleHandle,
  KubernetesRoleHandle,
  SimulatedAppRole,
  SimulatedJwtRole,
  SimulatedKubernetesRole,
  SimulatedLoginRole,
  SimulatedToken,
} from './simulated-roles.js';
export type { SimulatedLeasedSecret } from './backends/custom-engine.js';
export type { SimulatedCloud, SimulatedPrincipal } from './server/cloud.js';
export type { SimulatedDirectory, SimulatedUser } from './server/directory.js';
export type { LoginEnforcement } from './server/second-factors.js';
export type { Duration } from './server/duration.js';
export type { RequestSelector } from './server/faults.js';
export type { NodeState } from './server/node-status.js';
export type { HistoryEntry, RequestMatcher } from './server/request-log.js';
export type { RateLimit } from './server/rate-limits.js';
export type { RunSql, StatementOrigin } from './server/server-context.js';
export type { Capability } from './server/acl.js';
export type { Clock } from '../clock/clock.js';
export type { Sender, TransportRequest, TransportResponse } from '../client/transport.types.js';
export type {
  DevAppRole,
  DevDatabase,
  DevKvMount,
  DevLeasedSecret,
  DevSecret,
  DevServerFile,
} from './dev-server-file.js';
