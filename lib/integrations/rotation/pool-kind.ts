import { VaultError } from '../../errors/vault-error.js';
import { checkDriver } from '../driver/check-driver.js';
import type { DriverName } from '../driver/floors.js';
import { DEFAULT_DRAIN, type RotationOptions } from './rotation-driver.js';

/** The differences between drivers that are data: names, options and texts. */
export interface PoolKind {
  /** The packages that this package loads; the first one names the pool. */
  readonly packages: readonly [DriverName, ...DriverName[]];
  /** Options that hold credentials. */
  readonly credentials: readonly string[];
  /** How to configure a pool instead. */
  readonly credentialsHint: string;
  /** Name of the server, for error messages. */
  readonly server: string;
  /** {@link RotationDriver.isLoginRejected} */
  readonly isLoginRejected: (error: unknown) => boolean;
  /** The same for the first login, if more errors than those are the fault of the credentials. */
  readonly isFirstLoginRejected?: (error: unknown) => boolean;
  /** The reason that the server gives for a rejection. */
  readonly reasonOf: (error: unknown) => string;
  readonly rejectedHint: (error: unknown) => string;
}

/** For drivers that take an address in parts. */
export const SEPARATELY =
  'Give `host`, `port`, `database` and `ssl` separately; user and password come from the stream.';

/** A URL with a user in it. */
const USER = /^[\w+]+:\/\/[^/?#]*@/;

/**
 * Separates the options of a pool from those of its driver.
 *
 * @param urls of the servers
 * @throws VaultError `VAULT_DRIVER_TOO_OLD`; `VAULT_CONFIG_INVALID` for options or URLs with credentials
 */
export function poolOptions<O extends object>(
  { packages, credentials, credentialsHint }: PoolKind,
  options: O & RotationOptions,
  urls: readonly string[] = [],
): { drain: number; rest: Omit<O, keyof RotationOptions> } {
  for (const name of packages) checkDriver(name);
  refuseCredentials(options, Object.fromEntries(credentials.map((name) => [name, name])), credentialsHint);
  if (urls.some((url) => USER.test(url))) throw namesCredentials('a user in a URL', credentialsHint);
  const { drain = DEFAULT_DRAIN, ...rest } = options;
  if (!(typeof drain === 'number' && drain >= 0))
    throw new VaultError({
      code: 'VAULT_CONFIG_INVALID',
      message: 'The option `drain` of a rotating pool is no number of milliseconds.',
      hint: 'Give a number from 0, or leave it out. A value of the environment is a text: convert it.',
    });
  return { drain, rest };
}

/**
 * Returns a config unchanged if it has no credentials of its own.
 *
 * @param names the keys that would override the leased credentials, and their names in the options of the library
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export function refuseCredentials<T extends object>(
  config: T,
  names: Readonly<Record<string, string>>,
  hint = SEPARATELY,
): T {
  const key = Object.keys(names).find((name) => (config as Record<string, unknown>)[name] !== undefined);
  if (key !== undefined) throw namesCredentials(`\`${names[key]}\``, hint);
  return config;
}

function namesCredentials(name: string, hint: string): VaultError {
  return new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The config of a rotating pool names ${name}, which would override the leased credentials.`,
    hint,
  });
}

/** The error of a first login: that of the driver, unless the credentials are its cause. */
export function firstLoginError(kind: PoolKind, error: unknown, path = 'unknown path'): unknown {
  const isRejected = kind.isFirstLoginRejected ?? kind.isLoginRejected;
  if (!isRejected(error)) return error;
  return new VaultError({
    code: 'VAULT_CREDENTIALS_REJECTED',
    message: `${kind.server} rejected the credentials issued at ${path} (${kind.reasonOf(error)}).`,
    hint: kind.rejectedHint(error),
    path,
  });
}
