import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { codeOf } from '../../errors/printable.js';
import { invalid } from '../invalid.js';

/** Environment variables of an application, by name. */
export type Variables = Readonly<Record<string, string>>;

/** Lines that set the variables in a shell: `export NAME=value`, on Windows for PowerShell. */
export function shellLines(variables: Variables, platform: NodeJS.Platform = process.platform): string[] {
  return Object.entries(variables).map(([name, value]) =>
    platform === 'win32'
      ? `$env:${name} = '${value.replaceAll("'", "''")}'`
      : `export ${name}=${quoted(value)}`,
  );
}

/** A line of a `.env` file that sets a variable. */
const SETS = /^(\s*(?:export\s+)?)([A-Za-z_]\w*)\s*=\s*(.*?)\s*$/;

/** Names of the variables that have another value in the text of a `.env` file. */
export function replacedIn(text: string, variables: Variables): string[] {
  const present = new Map(
    text.split('\n').map((line): [string, string] => {
      const [, , name = '', value = ''] = SETS.exec(line) ?? [];
      return [name, value];
    }),
  );
  return Object.entries(variables)
    .filter(
      ([name, value]) => ![undefined, '', value, `"${value}"`, quoted(value)].includes(present.get(name)),
    )
    .map(([name]) => name);
}

/** The text of a `.env` file with these variables; all other lines stay. */
export function withVariables(text: string, variables: Variables): string {
  const open = new Map(Object.entries(variables));
  const kept = text.split('\n').flatMap((line) => {
    const [, start = '', name = ''] = SETS.exec(line) ?? [];
    if (!Object.hasOwn(variables, name)) return [line];
    const value = open.get(name);
    open.delete(name);
    // A second line of the same name would win.
    return value === undefined ? [] : [`${start}${name}=${quoted(value)}`];
  });
  while (kept.at(-1) === '') kept.pop();
  return [...kept, ...[...open].map(([name, value]) => `${name}=${quoted(value)}`), ''].join('\n');
}

/**
 * Writes the variables into a `.env` file that only its owner can read; other lines of the file stay.
 *
 * @returns the names of those that had another value there
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export async function writeVariables(path: string, variables: Variables): Promise<string[]> {
  let replaced: string[] = [];
  await writePrivate(path, () => {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    replaced = replacedIn(text, variables);
    return withVariables(text, variables);
  });
  return replaced;
}

/**
 * Replaces a file by one that only its owner can read. A link to a file stays; its target is replaced.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID`
 */
export async function writePrivate(path: string, content: () => string): Promise<void> {
  const target = existsSync(path) ? realpathSync(path) : path;
  const next = `${target}.${randomUUID()}.new`;
  try {
    await writeFile(next, content(), { mode: 0o600, flag: 'wx' });
    await rename(next, target);
  } catch (error) {
    await rm(next, { force: true });
    throw invalid(
      `${path} cannot be written (${codeOf(error)}).`,
      'Name a file in a folder that exists, and that you may write.',
    );
  }
}

function quoted(value: string): string {
  return /^[\w:/.@%+-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`;
}
