import { encodeApiPath, encodeFolder } from '../client/path.js';
import { unknownOptions, wrongTypes } from '../errors/unknown-options.js';
import { VaultError } from '../errors/vault-error.js';

/**
 * Options of `VaultHealthIndicator.checkStartup`.
 *
 * @publicApi
 */
export interface VaultStartupOptions {
  /** Name of a connection. @default all connections of the application */
  connection?: string;
  /**
   * Only these credentials and secrets matter, by their full paths, such as `database/creds/orders`, `secret/payments` or
   * `secret/feature-flags/` (a folder). A path that nothing has requested counts as missing. @default all in use
   */
  paths?: readonly string[];
  /** Shows each path with its state in the answer. Not for an endpoint that strangers can reach. @default false */
  showPaths?: boolean;
}

/**
 * Options of `VaultHealthIndicator.checkReadiness`.
 *
 * @publicApi
 */
export interface VaultReadinessOptions extends VaultStartupOptions {
  /**
   * Milliseconds. Not ready if the renewal or rotation of a credential fails, and less than this time of it is left.
   * @default 0
   */
  minimumTimeLeft?: number;
  /**
   * Milliseconds. Not ready if the server of a pool has rejected each user of the pool for longer than this. `Infinity`:
   * pools do not matter. @default 30000
   */
  poolRejectedFor?: number;
}

/**
 * Options of `VaultHealthIndicator.checkLiveness`.
 *
 * @publicApi
 */
export interface VaultLivenessOptions {
  /** Name of a connection. @default all connections of the application */
  connection?: string;
  /**
   * Milliseconds. Not live if the token has ended, and the server has refused each login for longer than this, or there is
   * nothing to log in with. For deployments where a restart delivers a new secret_id. An outage never counts.
   * @default Infinity
   */
  loginRefusedFor?: number;
}

const TYPES = {
  connection: 'string',
  showPaths: 'boolean',
  minimumTimeLeft: 'number',
  poolRejectedFor: 'number',
  loginRefusedFor: 'number',
} as const;

/**
 * Reports a mistake in the options of a check.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export function assertOptions(check: string, options: object, known: readonly string[]): void {
  const problems = unknownOptions(check, options, known);
  if (problems.length === 0) problems.push(...wrongTypes(check, options, TYPES));
  const { paths } = options as { paths?: unknown };
  if (paths !== undefined && !(Array.isArray(paths) && paths.every((one) => typeof one === 'string')))
    problems.push(`\`${check}.paths\` must be an array of strings`);
  if (problems.length === 0) return;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The options of ${check} are invalid: ${problems.join('; ')}.`,
    hint: 'Correct them in the health controller; docs/health.md lists them.',
  });
}

/** A path as a status shows it; that of a folder ends in a slash. */
export function statusPath(path: string): string {
  return path.endsWith('/') ? `${encodeFolder(path)}/` : encodeApiPath(path);
}
