import { AsyncLocalStorage } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { pause } from '../support/driver-load.js';
import { PgPools, whoami } from '../support/pg-pools.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
const requests = new AsyncLocalStorage<object>();

describe('the async context of a rotating pool', () => {
  let pools: PgPools;

  beforeAll(async () => {
    pools = await PgPools.start();
  });
  afterAll(() => pools?.stop());
  afterEach(() => pools?.end());

  it('connections, verifications and events belong to no request, and keep no store', async () => {
    // The pool's idle timer of a connection would keep the context of its release.
    const { pool, rotate } = await pools.open({ max: 4, idleTimeoutMillis: 0 });
    const events: unknown[] = [];
    pool.on('rotation', () => events.push(requests.getStore()));
    pool.on('connect', () => events.push(requests.getStore()));

    let store: WeakRef<object> | undefined;
    await (async () => {
      const large = { body: Buffer.alloc(30_000_000) };
      store = new WeakRef(large);
      await requests.run(large, async () => {
        // More queries than open connections, and a denied one, so that the credentials are checked.
        await Promise.all([1, 2, 3].map(() => pool.query('select pg_sleep(0.05)')));
        await pool.query('select * from pg_authid').catch(() => undefined);
        await whoami(pool);
        expect(requests.getStore() === large).toBe(true);
      });
    })();
    await rotate(await pools.issue());
    await whoami(pool);
    for (let turn = 0; turn < 20 && store?.deref(); turn++) {
      await pause(10);
      collect();
    }
    expect(store?.deref() === undefined).toBe(true);
    expect(events.length).toBeGreaterThan(3);
    expect(events.filter((one) => one !== undefined).length).toBe(0);
  });
});
