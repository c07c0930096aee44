import { InvalidArgumentError } from 'commander';
import { databasePath } from '../../engines/database/database-path.js';
import { invalid } from '../invalid.js';

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

/** Variables of loaders, shells and languages, by whose value a program runs other code. */
const RUNS_CODE =
  /^(LD_\w+|DYLD_\w+|PATH|BASH_ENV|NODE_OPTIONS|NODE_PATH|PYTHONPATH|PERL5OPT|PERL5LIB|RUBYOPT|RUBYLIB|JAVA_TOOL_OPTIONS)$/i;

/** Reads `NAME=path#key`; a repeated option adds to the list. */
export function wanted(into: Wanted['into']) {
  return (text: string, before: readonly Wanted[] = []): readonly Wanted[] => {
    const [, variable, path, key] = /^([A-Za-z_]\w*)=([^#]+)#(.+)$/.exec(text) ?? [];
    if (variable === undefined || path === undefined || key === undefined)
      throw new InvalidArgumentError('Give NAME=path#key, as API_KEY=secret/data/payments#apiKey.');
    if (RUNS_CODE.test(variable))
      throw new InvalidArgumentError(
        `${variable} decides which code programs load: whoever may write the secret could run their own.`,
      );
    return [...before, { variable, path, key, into }];
  };
}

/**
 * All values that the command gets. Without `--env` or `--file` for them, user name and password of `--database` go to
 * the usual variables.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` if a variable would have two values
 */
export function allWanted({ database, mount, pg = false, env = [], file = [] }: WantedFlags): Wanted[] {
  const given = [...env, ...file];
  const all = database === undefined ? given : [...usual(databasePath(database, mount), pg, given), ...given];
  const names = all.map(({ variable }) => variable);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return all;
  throw invalid(
    `The variable ${twice} is given twice.`,
    'Each variable has one value: name it once in --env and --file, and not if --database sets it already.',
  );
}

function usual(path: string, pg: boolean, given: readonly Wanted[]): Wanted[] {
  const variables = pg
    ? { username: 'PGUSER', password: 'PGPASSWORD' }
    : { username: 'DB_USERNAME', password: 'DB_PASSWORD' };
  return Object.entries(variables)
    .filter(([key]) => !given.some((one) => one.path === path && one.key === key))
    .map(([key, variable]) => ({ variable, path, key, into: 'variable' }));
}
