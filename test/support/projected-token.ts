import { mkdtempSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A projected volume: like the kubelet, it replaces all files at once, by the rename of a link. */
export class ProjectedVolume {
  readonly #dir = mkdtempSync(join(tmpdir(), 'nestjs-vault-projected-'));
  #count = 0;

  /** The file that a pod reads. */
  readonly path = join(this.#dir, 'token');

  constructor(token: string) {
    symlinkSync(join('..data', 'token'), this.path);
    this.replace(token);
  }

  replace(token: string): void {
    const folder = `..${++this.#count}`;
    mkdirSync(join(this.#dir, folder));
    writeFileSync(join(this.#dir, folder, 'token'), token);
    symlinkSync(folder, join(this.#dir, '..data_tmp'));
    renameSync(join(this.#dir, '..data_tmp'), join(this.#dir, '..data'));
    rmSync(join(this.#dir, `..${this.#count - 1}`), { recursive: true, force: true });
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
