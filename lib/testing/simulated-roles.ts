import type { Duration } from './server/duration.js';

/**
 * Options that the roles of all auth methods have. Durations are seconds or texts like `'5m'`; 0 is none.
 *
 * @publicApi
 */
export interface SimulatedLoginRole {
  /** Mount of the auth method, below `auth/` (default: the name of its type, as `approle`). */
  mount?: string;
  /** Policies of the tokens besides `default` (default: one that allows everything except administration). */
  policies?: readonly string[];
  /** Default 0: 768h. */
  tokenTtl?: Duration;
  tokenMaxTtl?: Duration;
  tokenExplicitMaxTtl?: Duration;
  tokenPeriod?: Duration;
  /** Number of requests per token (default 0: unlimited). */
  tokenNumUses?: number;
  tokenType?: 'service' | 'batch';
  tokenBoundCidrs?: readonly string[];
  tokenNoDefaultPolicy?: boolean;
}

/**
 * Options of an AppRole.
 *
 * @publicApi
 */
export interface SimulatedAppRole extends SimulatedLoginRole {
  roleId?: string;
  /** Default true. */
  bindSecretId?: boolean;
  /** Number of logins per secret_id (default 0: unlimited). */
  secretIdNumUses?: number;
  secretIdTtl?: Duration;
  secretIdBoundCidrs?: readonly string[];
}

/**
 * An AppRole that was set up, and its secrets.
 *
 * @publicApi
 */
export interface AppRoleHandle {
  readonly roleId: string;
  /** Creates a secret_id. */
  readonly secretId: () => string;
  /** Creates a secret_id and returns a wrapping token for it, as an orchestrator delivers it (default TTL 60 s). */
  readonly wrappedSecretId: (ttl?: Duration) => string;
  /** Destroys a secret_id; tokens of earlier logins stay valid. */
  readonly destroySecretId: (secretId: string) => void;
  /** Deletes the role: its tokens stay valid, but cannot be renewed (status 500). */
  readonly delete: () => void;
}

/**
 * Options of a role of Kubernetes auth.
 *
 * @publicApi
 */
export interface SimulatedKubernetesRole extends SimulatedLoginRole {
  /** Name of the service account (default: the name of the role). */
  serviceAccount?: string;
  /** Its namespace in the cluster (default `default`). */
  serviceAccountNamespace?: string;
  /** Audience that its tokens must have (default: any). */
  audience?: string;
}

/**
 * A role of Kubernetes auth that was set up, and its service account.
 *
 * @publicApi
 */
export interface KubernetesRoleHandle {
  /**
   * Makes a token of the service account, as the kubelet writes it.
   *
   * @param options.ttl default `'1h'`
   * @param options.audience default: the audience of the role, or `https://kubernetes.default.svc`
   */
  readonly serviceAccountToken: (options?: { ttl?: Duration; audience?: string }) => string;
  /** Makes the cluster reject all tokens of the account, or accept them again. */
  readonly rejectTokens: (rejected?: boolean) => void;
  /** Deletes and recreates the service account: the cluster rejects the tokens that it made until now. */
  readonly recreateServiceAccount: () => void;
  /** Deletes the role: its tokens stay valid, but cannot be renewed (status 500). */
  readonly delete: () => void;
}

/**
 * Options of a role of JWT auth.
 *
 * @publicApi
 */
export interface SimulatedJwtRole extends SimulatedLoginRole {
  /** Audience that its JWTs must have (default `vault`). */
  audience?: string;
  /** Default `sub`. */
  userClaim?: string;
  /** Values that claims must have. */
  boundClaims?: Readonly<Record<string, string | readonly string[]>>;
}

/**
 * A role of JWT auth that was set up, and the issuer of its JWTs.
 *
 * @publicApi
 */
export interface JwtRoleHandle {
  /**
   * Signs a JWT that the role accepts.
   *
   * @param claims claims besides `sub`, `aud`, `iat`, `nbf` and `exp` (an hour later), or instead of them
   */
  readonly jwt: (claims?: Readonly<Record<string, unknown>>) => string;
  /** Deletes the role: its tokens stay valid, but cannot be renewed (status 500). */
  readonly delete: () => void;
}

/**
 * Options of a token that is given to an application.
 *
 * @publicApi
 */
export interface SimulatedToken {
  /** The token (default: a random one). */
  id?: string;
  policies?: readonly string[];
  /** Default 0: 768h. */
  ttl?: Duration;
  explicitMaxTtl?: Duration;
  period?: Duration;
  /** Number of requests it may make (default 0: unlimited). */
  numUses?: number;
  type?: 'service' | 'batch';
  /** Default true. */
  renewable?: boolean;
}
