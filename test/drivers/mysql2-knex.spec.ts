import { setTimeout as sleep } from 'node:timers/promises';
import createKnex, { type Knex } from 'knex';
import { getCredentialsToken } from 'nestjs-vault';
import { knexPool, RotatingMysqlPool, type LoginCredentials, type PoolEvent } from 'nestjs-vault/mysql2';
import type { Observable } from 'rxjs';
import { afterAll, beforeAll, it } from 'vitest';
import { LeasedMariaDb, load, refresh, show, type Work } from '../support/leased-mariadb.js';
import { describeMariaDb } from '../support/real-mariadb.js';

describeMariaDb('Knex on OpenBao and MariaDB, by mysql2', () => {
  let leased: LeasedMariaDb;

  beforeAll(async () => {
    leased = await LeasedMariaDb.start([
      { name: 'revoked', long: true },
      { name: 'streams', long: true },
    ]);
  });
  afterAll(() => leased?.stop());

  const start = async (role: string, connectionLimit = 6) => {
    const events: PoolEvent[] = [];
    let pool!: RotatingMysqlPool;
    const app = await leased.app({
      providers: [
        {
          provide: 'KNEX',
          inject: [getCredentialsToken(role)],
          useFactory: (credentials$: Observable<LoginCredentials>) => {
            const config = { ...leased.where, connectionLimit, drain: 2_600 };
            pool = new RotatingMysqlPool(leased.guarded(credentials$), config);
            pool.on('rotation', (event: PoolEvent) => events.push(event));
            return createKnex({ client: 'mysql2', connectionPool: knexPool(pool) });
          },
        },
      ],
    });
    const count = (type: PoolEvent['type']) => events.filter((one) => one.type === type).length;
    return { app, knex: app.get<Knex>('KNEX'), pool, count };
  };
  const work = (knex: Knex): Work => ({
    query: async () => knex('items').insert({ item: 'tea' }),
    transaction: (wait) =>
      knex.transaction(async (transaction) => {
        await transaction('items').insert({ item: 'milk' });
        await wait();
        await transaction('items').count();
      }),
  });
  const note = (text: string) => leased.apps.note(text);
  it.concurrent(
    'a revoked lease, and streams of rows while the next one comes',
    async ({ expect, onTestFinished }) => {
      const { knex, pool, count } = await start('revoked');
      const { stop } = load(work(knex), note, onTestFinished);
      await sleep(300);
      await leased.revoke('revoked');
      const at = performance.now();
      const read = async () => {
        let rows = 0;
        for await (const _row of knex.raw('select seq from seq_1_to_2000').stream()) rows++;
        return rows;
      };
      const reading = Promise.all([refresh(pool), ...Array.from({ length: 8 }, read)]);
      await expect.poll(() => count('rotated'), { timeout: 10_000, interval: 10 }).toBe(1);
      const recovered = performance.now() - at;
      expect((await reading).slice(1)).toEqual(Array(8).fill(2_000));
      const { failures, queries } = await stop();
      show('knex revoked', {
        recovered,
        queries,
        failures: failures.length,
        stragglers: count('drain-timeout'),
      });
      expect(failures).toEqual([]);
    },
  );

  it.concurrent('a connection that a stream releases is lent to one caller at a time', async ({ expect }) => {
    const { knex } = await start('streams', 1);
    const order: string[] = [];
    const streaming = async () => {
      for await (const _row of knex.raw('select seq from seq_1_to_10').stream()) order.push('row');
    };
    const alone = (name: string) =>
      knex.transaction(async (transaction) => {
        order.push(name);
        await sleep(200);
        await transaction.raw('select 1');
        order.push(name);
      });
    await Promise.all([streaming(), alone('one'), alone('other')]);
    expect(order.slice(10)).toEqual(['one', 'one', 'other', 'other']);
  });
});
