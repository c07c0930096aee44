import { OTHER_PATH } from './names.js';

/** The SDK never ends a series, and puts all beyond 2,000 into one, in which the path that ends first is not seen. */
const MOST_EVER = 500;

/** The paths that metrics name: a limited number at a time, and in all; the others are reported as one. */
export class BoundedPaths {
  readonly #describe: (path: string) => string;
  readonly #most: number;
  readonly #shown = new Set<string>();
  /** All that were ever shown. */
  readonly #named = new Set<string>();

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
    if (this.#shown.has(name)) return name;
    const isNew = !this.#named.has(name);
    if (this.#shown.size >= this.#most || (isNew && this.#named.size >= Math.max(MOST_EVER, this.#most)))
      return OTHER_PATH;
    this.#shown.add(name);
    this.#named.add(name);
    return name;
  }
}
