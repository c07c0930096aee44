import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VaultError } from '../../errors/vault-error.js';

/** Only its owner may read a file with a secret. */
const MODE = 0o600;

/** Files with secrets for one command. They are removed at its end, also at the exit of the process. */
export class PrivateFiles {
  readonly #made: string[] = [];
  #folder: string | undefined;
  readonly #env: NodeJS.ProcessEnv;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
    process.once('exit', this.remove);
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
      throw refused(
        `The value of ${broken} has several lines.`,
        'An env file cannot contain it. Use `--file`.',
      );
    const lines = Object.entries(variables).map(([name, value]) => `${name}=${value}\n`);
    try {
      writeFileSync(path, lines.join(''), { mode: MODE, flag: 'wx' });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw refused(
        `The file ${path} cannot be written (${code}).`,
        'It must not exist: a killed run may have left it behind. Delete it, or name another one.',
      );
    }
    this.#made.push(path);
  }

  readonly remove = (): void => {
    process.off('exit', this.remove);
    for (const path of this.#made.splice(0)) rmSync(path, { recursive: true, force: true });
  };

  #privateFolder(): string {
    if (this.#folder !== undefined) return this.#folder;
    for (const parent of [this.#env['XDG_RUNTIME_DIR'], '/dev/shm', tmpdir()]) {
      try {
        // For its owner only.
        if (parent) this.#folder = mkdtempSync(join(parent, 'nestjs-vault-'));
      } catch {
        continue;
      }
      if (this.#folder !== undefined) break;
    }
    if (this.#folder === undefined)
      throw refused(`No folder for private files can be made in ${tmpdir()}.`, 'Make it writable.');
    this.#made.push(this.#folder);
    return this.#folder;
  }
}

function refused(message: string, hint: string): VaultError {
  return new VaultError({ code: 'VAULT_CONFIG_INVALID', message, hint });
}
