import { OTHER_PATH } from './names.js';

/** The paths that metrics name: a limited number at a time; the others are reported as one. */
export class BoundedPaths {
  readonly #describe: (path: string) => string;
  readonly #most: number;
  readonly #shown = new Set<string>();

  constructor(describe: (path: string) => string, most: number) {
    this.#describe = describe;
    this.#most = most;
  }

  /** Forgets all paths but these, so that new ones have a place. */
  keep(paths: readonly string[]): void {
    const used = new Set(paths.map((path) => this.#describe(path)));
    for (const shown of this.#shown) if (!used.has(shown)) this.#shown.delete(shown);
  }

  shown(path: string): string {
    const name = this.#describe(path);
    if (!this.#shown.has(name) && this.#shown.size >= this.#most) return OTHER_PATH;
    this.#shown.add(name);
    return name;
  }
}
