import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { seconds } from '../server/duration.js';
import { SYSTEM_TTL } from '../server/ttl.js';
import { notFound, Refusal } from '../server/refusal.js';
import { route } from '../server/route.js';
import { ignoredParameters } from './ignored-parameters.js';
import { keysBelow } from './list-keys.js';

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
        [['list'], /^(.*)$/, (_, folder = '') => this.#list(call, folder)],
        [['read'], /^(.*)$/, (_, path = '') => this.#read(call, path)],
        [['update'], /^(.*)$/, ({ body }, path = '') => this.#write(path, body)],
        [['delete'], /^(.*)$/, (_, path = '') => void this.#secrets.delete(path)],
      ],
      call,
    );
  }

  #list(call: Call, folder: string): Result {
    const keys = keysBelow(this.#secrets.keys(), folder);
    const warnings = ignoredParameters(call, []);
    if (keys.length === 0 && warnings.length === 0) throw notFound();
    return { data: keys.length > 0 ? { keys } : {}, warnings };
  }

  #read(call: Call, path: string): Result {
    const data = this.#secrets.get(path);
    if (!data) throw notFound();
    return { data, leaseDuration: duration(data), warnings: ignoredParameters(call, []) };
  }

  #write(path: string, body: Record<string, unknown>): void {
    if (path === '') throw new Refusal(400, 'missing path');
    if (Object.keys(body).length === 0) throw new Refusal(400, 'missing data fields');
    this.#secrets.set(path, body);
  }
}

/** The secret itself may say how long it is valid. */
function duration(data: Record<string, unknown>): number {
  const value = 'ttl' in data ? data['ttl'] : data['lease'];
  if (value === undefined || typeof value === 'boolean') return SYSTEM_TTL;
  if (typeof value === 'number' && !Number.isInteger(value)) return SYSTEM_TTL;
  try {
    return Math.trunc(seconds(value));
  } catch {
    return SYSTEM_TTL;
  }
}
