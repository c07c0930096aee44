import type { VaultErrorCode } from '../errors/vault-error.js';
import {
  healthOf,
  type ConnectionStatus,
  type LeaseStatus,
  type SecretStatus,
  type SessionStatus,
} from '../events/status.js';
import { statusPath, type VaultReadinessOptions, type VaultStartupOptions } from './health-options.js';

/**
 * Why a connection is `down`.
 *
 * - `starting`: it has not logged in yet
 * - `pending`: a credential or secret that the application has requested was never there, or nothing has requested one of
 *   `paths`
 * - `expired`: the token or a credential has ended, and there is no next one
 * - `gone`: the server has a watched secret no longer
 * - `ends-soon`: a renewal or rotation fails, and less than `minimumTimeLeft` is left
 * - `pool-rejected`: the server of a pool rejects its users
 * - `login-refused`: the token has ended, and the server refuses the login
 * - `draining`, `closed`: the application is shutting down, or has shut down
 *
 * @publicApi
 */
export type VaultHealthReason =
  | 'starting'
  | 'pending'
  | 'expired'
  | 'gone'
  | 'ends-soon'
  | 'pool-rejected'
  | 'login-refused'
  | 'draining'
  | 'closed';

/**
 * One credential or secret, with `showPaths`.
 *
 * @publicApi
 */
export interface VaultCredentialHealth {
  path: string;
  state: LeaseStatus['state'] | SecretStatus['state'];
  /** Whole seconds until it ends. */
  secondsLeft?: number;
}

/**
 * The health of one connection. It holds no secret, no id and nothing of a token.
 *
 * @publicApi
 */
export interface VaultConnectionHealth {
  /** `degraded`: everything works, but the last attempt to renew, rotate or read something has failed. */
  state: 'up' | 'degraded' | 'down';
  /** Set if it is `down`. */
  reason?: VaultHealthReason;
  /** Code of the last failure. */
  error?: VaultErrorCode;
  /** Whole seconds until the first of token and credentials ends; absent if none does. */
  secondsLeft?: number;
  /** With `showPaths` only. */
  paths?: VaultCredentialHealth[];
}

/**
 * What an answer of the indicator holds for each connection, by name. The connection without a name is `default`.
 *
 * @publicApi
 */
export interface VaultHealthDetails {
  connections: Record<string, VaultConnectionHealth>;
}

/** A connection that has not logged in yet. */
export const STARTING: VaultConnectionHealth = { state: 'down', reason: 'starting' };

/** Whether the application once had everything that it has requested. */
export function startupOf(
  status: ConnectionStatus,
  now: number,
  options: VaultStartupOptions,
): VaultConnectionHealth {
  const parts = partsOf(status, options);
  const { leases, secrets } = parts;
  const pending = [...leases, ...secrets].find(({ state }) => state === 'pending');
  const reason = pending || parts.missing ? 'pending' : undefined;
  return answer(reason ? 'down' : 'up', reason, pending ? [pending] : [], parts, now, options);
}

/** Whether the application can work with its credentials. */
export function readinessOf(
  status: ConnectionStatus,
  now: number,
  options: VaultReadinessOptions,
): VaultConnectionHealth {
  const parts = partsOf(status, options);
  const reason = whyNotReady(status, parts, now, options);
  const state = reason ? 'down' : healthOf(parts.session, parts.leases, parts.secrets);
  return answer(state, reason, [parts.session, ...parts.leases, ...parts.secrets], parts, now, options);
}

/** Codes of logins for which a restart can bring another input, and waiting cannot. */
const REFUSED: ReadonlySet<VaultErrorCode> = new Set<VaultErrorCode>([
  'VAULT_LOGIN_INPUT_INVALID',
  'VAULT_LOGIN_DENIED',
  'VAULT_WRAPPING_TOKEN_INVALID',
  'VAULT_WRAPPING_PATH_MISMATCH',
  'VAULT_SOURCE_UNREADABLE',
  'VAULT_TOKEN_INVALID',
]);

/** The code of the refusal, if the application has no token any more and cannot log in. */
export function refusalOf({ session }: ConnectionStatus): VaultErrorCode | undefined {
  const { state, error } = session;
  return state === 'expired' && error && REFUSED.has(error.code) ? error.code : undefined;
}

/** The parts of a status that matter for a check. */
interface Parts {
  readonly session: SessionStatus;
  readonly leases: readonly LeaseStatus[];
  readonly secrets: readonly SecretStatus[];
  readonly pools: ConnectionStatus['pools'];
  /** Nothing has requested one of the paths. */
  readonly missing: boolean;
}

function partsOf({ session, leases, secrets, pools }: ConnectionStatus, options: VaultStartupOptions): Parts {
  const { paths } = options;
  if (!paths) return { session, leases, secrets, pools, missing: false };
  const wanted = new Set(paths.map(statusPath));
  const matters = ({ path }: { path: string }) => wanted.has(path);
  const known = new Set([...leases, ...secrets].map(({ path }) => path));
  return {
    session,
    leases: leases.filter(matters),
    secrets: secrets.filter(matters),
    pools: pools.filter(matters),
    missing: [...wanted].some((path) => !known.has(path)),
  };
}

function whyNotReady(
  { shutdown }: ConnectionStatus,
  { session, leases, secrets, pools, missing }: Parts,
  now: number,
  { minimumTimeLeft = 0, poolRejectedFor = 30_000 }: VaultReadinessOptions,
): VaultHealthReason | undefined {
  if (shutdown) return shutdown;
  const states = [session, ...leases, ...secrets].map(({ state }) => state);
  for (const reason of ['closed', 'expired', 'gone', 'pending'] as const)
    if (states.includes(reason)) return reason;
  if (missing) return 'pending';
  const isEnding = (one: SessionStatus | LeaseStatus) =>
    one.state === 'degraded' && (millisecondsLeft(one, now) ?? Infinity) < minimumTimeLeft;
  if ([session, ...leases].some(isEnding)) return 'ends-soon';
  const rejected = pools.some(
    ({ rejectedSince }) => rejectedSince && now - rejectedSince.getTime() >= poolRejectedFor,
  );
  return rejected ? 'pool-rejected' : undefined;
}

function answer(
  state: VaultConnectionHealth['state'],
  reason: VaultHealthReason | undefined,
  causes: readonly (SessionStatus | LeaseStatus | SecretStatus)[],
  { session, leases, secrets }: Parts,
  now: number,
  { showPaths = false }: VaultStartupOptions,
): VaultConnectionHealth {
  const error = state === 'up' ? undefined : causes.find((one) => one.error)?.error?.code;
  const left = [session, ...leases].flatMap((one) => millisecondsLeft(one, now) ?? []);
  return {
    state,
    ...(reason && { reason }),
    ...(error && { error }),
    ...(left.length > 0 && { secondsLeft: seconds(Math.min(...left)) }),
    ...(showPaths && { paths: [...leases, ...secrets].map((one) => credentialHealth(one, now)) }),
  };
}

function credentialHealth(one: LeaseStatus | SecretStatus, now: number): VaultCredentialHealth {
  const left = millisecondsLeft(one, now);
  return { path: one.path, state: one.state, ...(left !== undefined && { secondsLeft: seconds(left) }) };
}

/** One that was revoked has no time left, although its deadline has not come. */
function millisecondsLeft(
  { state, validUntil }: { state: string; validUntil?: Date },
  now: number,
): number | undefined {
  return validUntil && (state === 'expired' ? 0 : Math.max(0, validUntil.getTime() - now));
}

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1_000);
