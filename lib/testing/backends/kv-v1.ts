import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { listKeys } from './list-keys.js';
import { SYSTEM_TTL } from '../server/ttl.js';
import { notFound, Refusal } from '../server/refusal.js';
import { route } from '../server/route.js';

/** The KV secrets engine, version 1. */
export class KvV1 implements Backend {
  readonly type = 'kv';
  readonly options = { version: '1' };
  readonly #secrets = new Map<string, Record<string, unknown>>();

  exists({ path }: Call): boolean {
    return this.#secrets.has(path);
  }

  handle(call: Call): Maybe<Result | void> {
    return route(
      [
        [
          ['list'],
          /^(.*)$/,
          (_, folder = '') => ({ data: { keys: listKeys(this.#secrets.keys(), folder) } }),
        ],
        [['read'], /^(.+)$/, (_, path = '') => this.#read(path)],
        [['update'], /^(.+)$/, ({ body }, path = '') => this.#write(path, body)],
        [['delete'], /^(.+)$/, (_, path = '') => void this.#secrets.delete(path)],
      ],
      call,
    );
  }

  #read(path: string): Result {
    const data = this.#secrets.get(path);
    if (!data) throw notFound();
    return { data, leaseDuration: SYSTEM_TTL };
  }

  #write(path: string, body: Record<string, unknown>): void {
    if (Object.keys(body).length === 0) throw new Refusal(400, 'missing data fields');
    this.#secrets.set(path, body);
  }
}
