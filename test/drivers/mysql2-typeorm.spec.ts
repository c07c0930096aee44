import { setTimeout as sleep } from 'node:timers/promises';
import type { TestingModule } from '@nestjs/testing';
import { TypeOrmModule } from '@nestjs/typeorm';
import { getCredentialsToken, VaultError } from 'nestjs-vault';
import {
  rotatingMysqlDriver,
  type LoginCredentials,
  type PoolEvent,
  type RotatingMysqlPool,
} from 'nestjs-vault/mysql2';
import { Subject, type Observable } from 'rxjs';
import { DataSource, EntitySchema } from 'typeorm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { expectNoLeak } from '../support/leaks.js';
import { LeasedMariaDb, load, refresh, show, type Work } from '../support/leased-mariadb.js';
import { describeMariaDb } from '../support/real-mariadb.js';

interface Item {
  id: number;
  item: string;
}

const ItemSchema = new EntitySchema<Item>({
  name: 'Item',
  tableName: 'items',
  columns: {
    id: { type: 'int', primary: true, generated: true },
    item: { type: 'varchar', length: 40 },
  },
});

describeMariaDb('TypeORM on OpenBao and MariaDB, by mysql2', () => {
  let leased: LeasedMariaDb;

  beforeAll(async () => {
    leased = await LeasedMariaDb.start([
      { name: 'mysql', long: true },
      { name: 'wrong', long: true },
    ]);
  });
  afterAll(() => leased?.stop());

  const start = async (role: string, options: { type?: 'mysql' | 'mariadb'; database?: string } = {}) => {
    const events: PoolEvent[] = [];
    const app: TestingModule = await leased.app({
      imports: [
        TypeOrmModule.forRootAsync({
          inject: [getCredentialsToken(role)],
          useFactory: (credentials$: Observable<LoginCredentials>) => ({
            type: 'mariadb',
            driver: rotatingMysqlDriver(leased.guarded(credentials$), {
              drain: 2_600,
              onRotation: (event) => events.push(event),
            }),
            ...leased.where,
            poolSize: 6,
            entities: [ItemSchema],
            retryAttempts: 0,
            ...options,
          }),
        }),
        TypeOrmModule.forFeature([ItemSchema]),
      ],
    });
    const count = (type: PoolEvent['type']) => events.filter((one) => one.type === type).length;
    return { app, dataSource: app.get(DataSource), count };
  };
  const work = (dataSource: DataSource): Work => ({
    query: () => dataSource.getRepository(ItemSchema).insert({ item: 'tea' }),
    transaction: (wait) =>
      dataSource.transaction(async (manager) => {
        await manager.insert(ItemSchema, { item: 'milk' });
        await wait();
        await manager.count(ItemSchema);
      }),
  });
  const note = (text: string) => leased.apps.note(text);

  it.concurrent(
    "type 'mysql': streams work, and an operator's revocation is survived",
    async ({ expect, onTestFinished }) => {
      const { dataSource, count } = await start('mysql', { type: 'mysql' });
      const runner = dataSource.createQueryRunner();
      const rows: unknown[] = [];
      for await (const row of await runner.stream('select seq from seq_1_to_500')) rows.push(row);
      await runner.release();
      expect(rows).toHaveLength(500);
      const { stop } = load(work(dataSource), note, onTestFinished);
      await sleep(300);
      await leased.revoke('mysql');
      const at = performance.now();
      const refreshed = refresh((dataSource.driver as unknown as { pool: RotatingMysqlPool }).pool);
      await expect.poll(() => count('rotated'), { timeout: 10_000, interval: 10 }).toBe(1);
      const recovered = performance.now() - at;
      await refreshed;
      const { failures, queries } = await stop();
      show('typeorm revoked', { recovered, queries, failures: failures.length });
      expect(failures).toEqual([]);
    },
  );

  it.concurrent('a database that is not granted: the error has a hint, and no secret', async ({ expect }) => {
    const error: unknown = await start('wrong', { database: 'elsewhere' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(VaultError);
    expect(error).toMatchObject({
      code: 'VAULT_CREDENTIALS_REJECTED',
      hint: expect.stringMatching(/GRANT/),
    });
    note(String((error as Error).stack));
  });

  it.each(['username', 'password', 'url'])('refuses options that name `%s`', async (key) => {
    const value =
      key === 'url' ? 'mysql://someone:canary-in-options@127.0.0.1:1/orders' : 'canary-in-options';
    const dataSource = new DataSource({
      type: 'mysql',
      driver: rotatingMysqlDriver(new Subject()),
      [key]: value,
    });
    const error: unknown = await dataSource.initialize().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expectNoLeak(error, ['canary-in-options']);
  });

  it('refuses replication, which would need a cluster', async () => {
    const dataSource = new DataSource({
      type: 'mysql',
      driver: rotatingMysqlDriver(new Subject()),
      replication: { master: { host: 'primary' }, slaves: [{ host: 'replica' }] },
    });
    await expect(dataSource.initialize()).rejects.toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
  });
});
