import { resolve } from 'node:path';
import { invalid } from '../invalid.js';
import type { Cli } from '../command.js';
import { HIDDEN_VARIABLES } from '../login-from-env.js';
import type { PrivateFiles } from './private-files.js';
import type { Value } from './read-values.js';

/** The options that decide over it. */
export interface EnvironmentFlags {
  writeEnv?: string;
  keepLogin?: boolean;
}

/** The environment of the program; other values go into files. */
export function environmentOf(
  values: readonly Value[],
  flags: EnvironmentFlags,
  files: PrivateFiles,
  cli: Pick<Cli, 'env' | 'folder'>,
): NodeJS.ProcessEnv {
  const hidden: ReadonlySet<string> = flags.keepLogin ? new Set() : HIDDEN_VARIABLES;
  const env = Object.fromEntries(Object.entries(cli.env).filter(([name]) => !hidden.has(name)));
  const variables: Record<string, string> = {};
  for (const { variable, value, into } of values) {
    if (into === 'variable') variables[variable] = asVariable(variable, value);
    else env[variable] = files.value(variable, value);
  }
  if (flags.writeEnv === undefined) return { ...env, ...variables };
  files.variables(resolve(cli.folder, flags.writeEnv), variables);
  return env;
}

/** The system ends a variable at a zero byte. */
function asVariable(name: string, value: string): string {
  if (!value.includes('\0')) return value;
  throw invalid(`The value of ${name} has a zero byte, which no variable can contain.`, 'Use `--file`.');
}
