export { VaultHealthIndicator } from './vault-health.indicator.js';
export type { VaultLivenessOptions, VaultReadinessOptions, VaultStartupOptions } from './health-options.js';
export type {
  VaultConnectionHealth,
  VaultCredentialHealth,
  VaultHealthDetails,
  VaultHealthReason,
} from './connection-health.js';
