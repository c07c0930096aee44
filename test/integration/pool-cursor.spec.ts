import { setTimeout as sleep } from 'node:timers/promises';
import type { PoolClient } from 'pg';
import Cursor from 'pg-cursor';
import QueryStream from 'pg-query-stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { failure } from '../support/issued.js';
import { ended, PgPools } from '../support/pg-pools.js';
import { startTcpProxy } from '../support/servers.mjs';

const ROWS = 'select * from generate_series(1, 100) as n';

describe('a cursor that outlasts the drain window, so that its connection is closed', () => {
  let pools: PgPools;
  const clients: PoolClient[] = [];

  beforeAll(async () => {
    pools = await PgPools.start();
  });
  afterAll(() => pools?.stop());
  afterEach(async () => {
    for (const client of clients.splice(0)) client.release(true);
    await pools?.end();
  });

  const cursorOn = (client: PoolClient) => client.query(new Cursor<{ n: number }>(ROWS));
  const open = async (port?: number) => {
    const { pool, rotate } = await pools.open({ drain: 100, ...(port && { port }) });
    const client = await pool.connect();
    const cut = async () => {
      const gone = ended(client);
      await rotate(await pools.issue());
      await gone;
    };
    clients.push(client);
    return { client, rotate, cut };
  };

  it('between two reads: the next one fails, and it can be closed', async () => {
    const { client, cut } = await open();
    const cursor = cursorOn(client);
    expect(await cursor.read(10)).toHaveLength(10);
    await cut();
    expect(await failure(cursor.read(10))).toMatchObject({ message: 'Connection terminated' });
    await cursor.close();
    await new Promise((resolve) => cursor.close(resolve));
  });

  it('during a read', async () => {
    const { client, cut } = await open();
    const cursor = client.query(new Cursor('select n, pg_sleep(10) from generate_series(1, 9) as n'));
    const reading = failure(cursor.read(10));
    await cut();
    expect(await reading).toMatchObject({ message: 'Connection terminated' });
    await cursor.close();
  });

  it('while the answer to its last read or to its close is pending', async () => {
    for (const last of ['read', 'close'] as const) {
      const proxy = await startTcpProxy(pools.postgres.port);
      const { client } = await open(proxy.port);
      const cursor = cursorOn(client);
      await cursor.read(10);
      const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
      // The rows have come; the message that the server is ready never arrives.
      connection.prependOnceListener('commandComplete', () => {
        proxy.blackhole();
        setImmediate(() => void proxy.cut());
      });
      if (last === 'read') {
        expect(await failure(cursor.read(1_000))).toBeInstanceOf(Error);
      } else {
        proxy.blackhole();
        const closing = cursor.close();
        await proxy.cut();
        await closing;
      }
      await proxy.close();
    }
  });

  it('a stream fails with its connection', async () => {
    const { client, rotate } = await open();
    const stream = client.query(new QueryStream(ROWS, [], { batchSize: 10 }));
    const read = async () => {
      for await (const _row of stream) await sleep(20);
    };
    const failed = failure(read());
    await rotate(await pools.issue());
    expect(await failed).toMatchObject({ message: 'Connection terminated' });
  });

  it('a cursor that is read to its end in time gets all rows, by promise and by callback', async () => {
    const { client } = await open();
    const cursor = cursorOn(client);
    const first = await new Promise<{ n: number }[]>((resolve) =>
      cursor.read(10, (_error, rows, result) => resolve(result.rows)),
    );
    const rest = await cursor.read(1_000);
    expect([...first, ...rest].map(({ n }) => n)).toEqual(Array.from({ length: 100 }, (_, i) => i + 1));
    expect(await cursor.read(10)).toEqual([]);
    await cursor.close();
    expect(client.listenerCount('end')).toBeLessThan(4);
  });
});
