import { notFound } from '../server/refusal.js';
import type { Operation, Result } from '../server/model.js';
import type { Route } from '../server/route.js';
import type { Fields } from './login-tokens.js';

/** The roles, users or groups of a method: bodies by name. Writes change the fields that they contain. */
export class Entries {
  readonly #byName = new Map<string, Fields>();

  /** In alphabetical order. */
  get names(): string[] {
    return [...this.#byName.keys()].sort();
  }

  get(name: string): Fields | undefined {
    return this.#byName.get(name);
  }

  /**
   * Routes to write, read, list and delete them.
   *
   * @param path below the mount: `role`, `users`
   * @param check refuses an entry that is invalid; it gets the fields before it and after it
   */
  routes(
    path: string,
    check: (body: Fields, name: string) => Result | void,
    describe: (fields: Fields) => object,
  ): Route[] {
    const one = new RegExp(`^${path}/([^/]+)$`);
    const read: Operation[] = ['read'];
    return [
      [
        ['update'],
        one,
        ({ body }, name = '') => {
          const merged = { ...this.#byName.get(name), ...body };
          const result = check(merged, name);
          this.#byName.set(name, merged);
          return result;
        },
      ],
      [
        read,
        one,
        (_, name = '') => {
          const found = this.#byName.get(name);
          if (!found) throw notFound();
          return { data: describe(found) };
        },
      ],
      [['delete'], one, (_, name = '') => void this.#byName.delete(name)],
      [
        ['list'],
        new RegExp(`^${path}/?$`),
        () => {
          if (this.#byName.size === 0) throw notFound();
          return { data: { keys: this.names } };
        },
      ],
    ];
  }
}
