import type { Backend, Call, Maybe, Result, Token } from '../server/model.js';
import { notFound } from '../server/refusal.js';
import { route } from '../server/route.js';
import { listKeys } from './list-keys.js';

/** The cubbyhole: one store per token, which ends with the token. */
export class Cubbyhole implements Backend {
  readonly type = 'cubbyhole';
  readonly #stores = new WeakMap<Token, Map<string, object>>();

  handle(call: Call): Maybe<Result | void> {
    const { token } = call;
    const store = (token && this.#stores.get(token)) ?? new Map<string, object>();
    return route(
      [
        [['list'], /^(.*)$/, (_, folder = '') => ({ data: { keys: listKeys(store.keys(), folder) } })],
        [
          ['read'],
          /^(.+)$/,
          (_, path) => {
            const data = store.get(path as string);
            if (!data) throw notFound();
            return { data };
          },
        ],
        [
          ['update'],
          /^(.+)$/,
          ({ body }, path) => {
            if (token) this.#stores.set(token, store.set(path as string, body));
          },
        ],
        [['delete'], /^(.+)$/, (_, path) => void store.delete(path as string)],
      ],
      call,
    );
  }
}
