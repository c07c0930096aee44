import { InvalidArgumentError } from 'commander';
import { databasePath } from '../../engines/database/database-path.js';

/** One value of a secret, and the variable that gets it, or the path of a file with it. */
export interface Wanted {
  /** Name of the variable. */
  readonly variable: string;
  /** API path, as in the policy: `database/creds/orders`, `secret/data/payments`. */
  readonly path: string;
  readonly key: string;
  readonly into: 'variable' | 'file';
}

/** The options from which the list is made. */
export interface WantedFlags {
  database?: string;
  mount?: string;
  pg?: boolean;
  env?: readonly Wanted[];
  file?: readonly Wanted[];
}

/** Reads `NAME=path#key`; a repeated option adds to the list. */
export function wanted(into: Wanted['into']) {
  return (text: string, before: readonly Wanted[] = []): readonly Wanted[] => {
    const [, variable, path, key] = /^([A-Za-z_]\w*)=([^#]+)#(.+)$/.exec(text) ?? [];
    if (variable === undefined || path === undefined || key === undefined)
      throw new InvalidArgumentError('Give NAME=path#key, as API_KEY=secret/data/payments#apiKey.');
    if (before.some((one) => one.variable === variable))
      throw new InvalidArgumentError(`The variable ${variable} is given twice.`);
    return [...before, { variable, path, key, into }];
  };
}

/**
 * All values that the command gets. Without `--env` or `--file` for them, user name and password of `--database` go to
 * the usual variables.
 */
export function allWanted({ database, mount, pg = false, env = [], file = [] }: WantedFlags): Wanted[] {
  const given = [...env, ...file];
  if (database === undefined) return given;
  const path = databasePath(database, mount);
  const usual = pg
    ? { username: 'PGUSER', password: 'PGPASSWORD' }
    : { username: 'DB_USERNAME', password: 'DB_PASSWORD' };
  const missing = Object.entries(usual).filter(
    ([key, variable]) =>
      !given.some((one) => (one.path === path && one.key === key) || one.variable === variable),
  );
  return [
    ...missing.map(([key, variable]) => ({ variable, path, key, into: 'variable' as const })),
    ...given,
  ];
}
