import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { classOf } from '../../errors/printable.js';
import { invalid } from '../invalid.js';
import type { DevServerFile } from '../../testing/dev-server-file.js';
import { problemsOf } from './check-file.js';

const DEFAULTS = ['vault.dev.mjs', 'vault.dev.json'];
const DOCS = 'docs/local-development.md of nestjs-vault shows a file to copy.';

let reads = 0;

/**
 * Finds the file of the command.
 *
 * @param given path of the command line; without it, the default names are looked for in the folder
 * @returns the absolute path
 * @throws VaultError `VAULT_CONFIG_INVALID` if there is none, or both
 */
export function findFile(given: string | undefined, folder: string): string {
  const [found, second] = (given === undefined ? DEFAULTS : [given])
    .map((name) => resolve(folder, name))
    .filter((path) => existsSync(path));
  if (second !== undefined)
    throw invalid(
      `This folder has both ${DEFAULTS.join(' and ')}.`,
      'Delete one, or name the one to use: nestjs-vault dev <file>.',
    );
  if (found !== undefined) return found;
  throw invalid(
    given === undefined ? `This folder has no ${DEFAULTS.join(' or ')}.` : `There is no file ${given}.`,
    `Create it, or name another file: nestjs-vault dev <file>. ${DOCS}`,
  );
}

/**
 * Reads and checks the file. A module is loaded anew each time; the modules that it imports are not.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID`, with all problems
 */
export async function readDevFile(path: string, folder: string): Promise<DevServerFile> {
  const name = relative(folder, path) || path;
  const content = path.endsWith('.json') ? await readJson(path, name) : await load(path, name);
  const problems = problemsOf(content);
  if (problems.length === 0) return content as DevServerFile;
  throw invalid(`${name} cannot be used: ${problems.join('; ')}.`, `Correct it. ${DOCS}`);
}

async function readJson(path: string, name: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    // The parser's own text shows a part of the file.
    const [, position] = /at position (\d+)/.exec((error as Error).message) ?? [];
    const line =
      position === undefined ? '' : ` (line ${text.slice(0, Number(position)).split('\n').length})`;
    throw invalid(
      `${name} is not valid JSON${line}.`,
      'Correct it; JSON has no comments and no trailing commas.',
    );
  }
}

async function load(path: string, name: string): Promise<unknown> {
  let loaded: { default?: unknown };
  try {
    // Node loads each address of a module once, so each read has an address of its own.
    loaded = (await import(`${pathToFileURL(path).href}?read=${++reads}`)) as { default?: unknown };
  } catch (error) {
    const [, line] = /\?read=\d+:(\d+)/.exec((error as Error | undefined)?.stack ?? '') ?? [];
    throw invalid(
      `${name} could not be loaded: ${classOf(error)}${line === undefined ? '' : ` in line ${line}`}.`,
      `The error is not shown, as it may contain a secret. To see it, run: node ${join('.', name)}`,
    );
  }
  if (loaded.default !== undefined) return loaded.default;
  throw invalid(`${name} has no default export.`, `Write: export default { … }. ${DOCS}`);
}
