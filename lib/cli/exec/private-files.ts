import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { invalid } from '../invalid.js';
import { areFound, folderPrefix, removeLeftFolders } from './left-folders.js';

/** Only its owner may read a file with a secret. */
const MODE = 0o600;

/** Files with secrets for one command. They are removed at its end, also at the exit of the process. */
export class PrivateFiles {
  readonly #made: string[] = [];
  #folder: string | undefined;
  readonly #places: readonly string[];
  readonly #say: (line: string) => void;

  /** Removes what runs that were killed have left in the same places. */
  constructor(env: NodeJS.ProcessEnv, say: (line: string) => void) {
    this.#say = say;
    this.#places = [env['XDG_RUNTIME_DIR'], '/dev/shm', tmpdir()].filter(
      (place) => place !== undefined && place !== '',
    ) as string[];
    for (const place of this.#places) removeLeftFolders(place);
    process.once('exit', this.remove);
  }

  /** For people: what stays if this process is killed, and how long; undefined if nothing does. */
  get staying(): string | undefined {
    const stays = this.#made.map((path) => {
      const end =
        path === this.#folder && areFound() ? 'the next nestjs-vault exec removes it' : 'delete it then';
      return `${path} (${end})`;
    });
    if (stays.length === 0) return undefined;
    return `If this process is killed (SIGKILL), what it wrote stays there with its secrets: ${stays.join(', ')}.`;
  }

  /** Writes one value into a folder of its own, in memory where the system has a place for that. */
  value(name: string, value: string): string {
    const path = join(this.#privateFolder(), name);
    writeFileSync(path, value, { mode: MODE, flag: 'wx' });
    return path;
  }

  /**
   * Writes variables as `docker run --env-file` reads them: one line each, nothing quoted.
   *
   * @throws VaultError `VAULT_CONFIG_INVALID` if the file exists, cannot be written, or a value has several lines
   */
  variables(path: string, variables: Readonly<Record<string, string>>): void {
    const broken = Object.keys(variables).find((name) => /[\r\n]/.test(variables[name] as string));
    if (broken !== undefined)
      throw invalid(
        `The value of ${broken} has several lines.`,
        'An env file cannot contain it. Use `--file`.',
      );
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
    try {
      this.#write(path, lines.join(''));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw invalid(
        `The file ${path} cannot be written (${code}).`,
        code === 'EEXIST'
          ? 'It must not exist: a killed run may have left it behind. Delete it, or name another one.'
          : 'Its folder must exist, be writable, and have space.',
      );
    }
  }

  /** The file is known from its creation on, so that it is removed also if its content cannot be written. */
  #write(path: string, content: string): void {
    const descriptor = openSync(path, 'wx', MODE);
    this.#made.push(path);
    try {
      writeFileSync(descriptor, content);
    } finally {
      closeSync(descriptor);
    }
  }

  readonly remove = (): void => {
    process.off('exit', this.remove);
    for (const path of this.#made.splice(0)) this.#removeOne(path);
  };

  #removeOne(path: string): void {
    try {
      rmSync(path, { recursive: path === this.#folder, force: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      this.#say(`${path} cannot be removed (${code}). It may contain a secret: delete it.`);
    }
  }

  #privateFolder(): string {
    if (this.#folder !== undefined) return this.#folder;
    for (const place of this.#places) {
      try {
        // For its owner only.
        this.#folder = mkdtempSync(join(place, folderPrefix()));
        break;
      } catch {
        continue;
      }
    }
    if (this.#folder === undefined)
      throw invalid(`No folder for private files can be made in ${tmpdir()}.`, 'Make it writable.');
    this.#made.push(this.#folder);
    return this.#folder;
  }
}
