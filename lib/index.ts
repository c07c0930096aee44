export { VaultModule, type VaultModuleAsyncOptions, type VaultModuleOptions } from './vault.module.js';
export {
  MODULE_OPTIONS_TOKEN as VAULT_MODULE_OPTIONS,
  type VaultModuleExtras,
} from './vault.module-definition.js';
export type { VaultFeature } from './vault.injections.js';
export {
  getCredentialsToken,
  getSecretToken,
  getVaultToken,
  type CredentialsTarget,
  type InjectCredentialsOptions,
  type InjectSecretOptions,
  type SecretWatchOptions,
} from './vault.tokens.js';

export type { TlsOptions } from './client/tls-options.js';
export type {
  RenewalOptions,
  RetryOptions,
  ShutdownOptions,
  StartupOptions,
  VaultOptions,
  VaultOptionsFactory,
} from './config/options.js';

export { vaultOptionsFromEnv, type VaultOptionsFromEnv } from './config/options-from-env.js';

export { appRole, type AppRoleOptions } from './auth/app-role.js';
export type { AuthMethod, Login, LoginContext, LogInOptions, VersionContext } from './auth/auth-method.js';
export { awsIam, type AwsCredentials, type AwsIamOptions } from './auth/aws-iam.js';
export { azure, type AzureOptions } from './auth/azure.js';
export { firstAvailable } from './auth/first-available.js';
export { fromGitHubActions } from './auth/github-actions.js';
export { github, type GithubOptions } from './auth/github.js';
export { jwt, type JwtOptions } from './auth/jwt.js';
export { kubernetes, type KubernetesOptions } from './auth/kubernetes.js';
export { ldap } from './auth/ldap.js';
export { okta, type OktaOptions } from './auth/okta.js';
export type { PasswordOptions } from './auth/password-login.js';
export { loginRequest, type LoginRequestOptions } from './auth/plugin-login.js';
export { radius } from './auth/radius.js';
export { tlsCertificate, type TlsCertificateOptions } from './auth/tls-certificate.js';
export { userpass } from './auth/userpass.js';
export type { Explain, Explanation, Refusal } from './client/failed-response.js';
export { gcp, type GcpOptions, type GoogleAuthLike } from './auth/gcp.js';
export { token } from './auth/token.js';
export { vaultAgent } from './auth/vault-agent.js';
export type { SchemaOutput, SecretSchema } from './schema/schema.js';
export { Secret } from './secret/secret.js';
export {
  fromEnv,
  fromFile,
  fromWrappedToken,
  type SecretInput,
  type SecretReader,
  type SecretSource,
} from './secret/secret-source.js';

export { vaultConfig } from './configuration/vault-config.js';
export type {
  VaultConfig,
  VaultConfigOptions,
  VaultConfigValue,
} from './configuration/vault-config.types.js';
export { InjectCredentials } from './decorators/inject-credentials.decorator.js';
export { InjectSecret } from './decorators/inject-secret.decorator.js';
export { OnRotation, type RotationTarget } from './decorators/on-rotation.decorator.js';
export { InjectVault } from './decorators/inject-vault.decorator.js';
export {
  CredentialsService,
  type CredentialsOptions,
  type GetOptions,
  type DatabaseCredentials,
  type WatchOptions,
} from './services/credentials.service.js';
export type { KvMetadata, KvMetadataSettings, KvSubkeys, KvVersion } from './engines/kv/kv-metadata.js';
export type {
  KvDeleteOptions,
  KvOptions,
  KvReadOptions,
  KvSubkeysOptions,
  KvWriteOptions,
} from './engines/kv/kv-options.js';
export type { KvWatchOptions } from './engines/kv/kv-watch.js';
export type { KvFolder } from './engines/kv/kv-watched.js';
export type { KvSecret } from './engines/kv/read-kv.js';
export type { KvChange } from './engines/kv/update-kv.js';
export type { KvData, KvWritten } from './engines/kv/write-kv.js';
export { KvService } from './services/kv.service.js';
export {
  VaultClient,
  type VaultRequest,
  type VaultRequestOptions,
  type VaultResponse,
  type VaultWrapInfo,
} from './session/vault-client.js';

export type { IssueParameters, Life } from './engines/engine.js';
export type { Engine, EngineAnswer, EngineRequest, PolicyCapability } from './engines/own-engine.js';
export type { Credentials } from './leases/lease.js';
export type { HoldOptions, LeaseInfo } from './leases/lease-info.js';
export type { UserCredentials } from './leases/user-credentials.js';
export type { LoginReason, RotationReason, VaultEvent } from './events/events.js';
export type {
  VaultAskMessage,
  VaultEventMessage,
  VaultPoolMessage,
  VaultRequestMessage,
  VaultRequestOutcome,
  VaultSource,
  VaultTaskMessage,
  VaultTaskOutcome,
} from './events/channels.js';
export type { NextStep } from './events/next-step.js';
export type { VaultLogLine } from './events/log-line.js';
export type { VaultLogCode } from './events/log-lines.js';
export type { ConnectionCounters, OperationCounter } from './events/counters.js';
export type { PoolCounters, PoolEvent } from './events/pool-events.js';
export type {
  ConnectionStatus,
  EndingLease,
  EndReason,
  LeaseStatus,
  PoolDrain,
  PoolRefusal,
  PoolStatus,
  SecretStatus,
  SessionStatus,
  VaultStatus,
} from './events/status.js';
export { VaultError, type VaultErrorCode } from './errors/vault-error.js';
