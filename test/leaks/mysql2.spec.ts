import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import knex from 'knex';
import type { Pool, PoolConnection } from 'mysql2';
import { ReplaySubject } from 'rxjs';
import { DataSource } from 'typeorm';
import type { DatabaseCredentials } from 'nestjs-vault';
import {
  createRotatingMysqlPool,
  knexPool,
  rotatingMysqlDriver,
  RotatingMysqlPool,
} from 'nestjs-vault/mysql2';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { failure } from '../support/issued.js';
import { Mysql2Pools } from '../support/mysql2-pools.js';
import { describeMariaDb } from '../support/real-mariadb.js';
import { Audit } from './audit.js';

describeMariaDb('no printer shows a password of MariaDB', () => {
  const audit = new Audit('mysql2 and the libraries on it');
  let pools: Mysql2Pools;

  beforeAll(async () => {
    pools = await Mysql2Pools.start();
  });
  afterAll(async () => {
    audit.count();
    await pools?.end();
    await pools?.stop();
  });

  const issue = async (made: 'now' | 'never' = 'now') => {
    const one = await pools.issue(made);
    audit.guard(`the password of ${one.user}`, one.password);
    return one;
  };
  const stream = async (made: 'now' | 'never' = 'now') => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next((await issue(made)).credentials);
    return credentials$;
  };
  const clean = () => audit.expectClean();

  it('of a pool, its connections, and their statements', async () => {
    const { pool, rotate, first } = await pools.open();
    audit.guard(`the password of ${first.user}`, first.password);
    const connection = await pool.getConnection();
    const plain = connection.connection as unknown as PoolConnection & { stream: Duplex };
    const statement = await connection.prepare('select ?');
    audit.printAll({
      'pool with promises': pool,
      'pool with callbacks': pool.pool,
      'config of a pool': pool.pool.config,
      'connection with promises': connection,
      'connection with callbacks': plain,
      'config of a connection': plain.config,
      'stream of a connection': plain.stream,
      statement,
      query: plain.query('select 1'),
      'stream of rows': plain.query('select 2').stream(),
      'counters of a pool': pool.counters,
      'result of a query': await connection.query('select 1'),
      'error of a statement': await failure(connection.query('select * from nowhere')),
    });
    await statement.close();
    await connection.changeUser({});
    audit.printAll({ 'connection after changeUser': connection });
    const superseded = once(connection, 'superseded');
    const rotated = once(pool as unknown as NodeJS.EventEmitter, 'rotation');
    await rotate(await issue());
    audit.printAll({
      'superseded connection': connection,
      "arguments of 'superseded'": await superseded,
      "arguments of 'rotation'": await rotated,
      'pool after a rotation': pool.pool,
    });
    connection.release();
    clean();
  });

  it('while a connection logs in', async () => {
    const pool = pools.add(new RotatingMysqlPool(await stream(), pools.where));
    const connecting = pool.promise().getConnection();
    const { _allConnections } = pool as unknown as { _allConnections: { toArray(): object[] } };
    await expect.poll(() => _allConnections.toArray().length).toBe(1);
    const [connection] = _allConnections.toArray() as [{ stream: Duplex; _command: object }];
    const look = () =>
      audit.printAtLogin({
        'pool that logs in': pool,
        'connection that logs in': connection,
        'command that logs in': connection._command,
      });
    look();
    connection.stream.once('data', look);
    (await connecting).release();
    clean();
  });

  it('of a rejected login', async () => {
    const refused$ = await stream('never');
    const pool = pools.add(new RotatingMysqlPool(refused$, pools.where));
    const [connection, created] = await Promise.all([
      failure(pool.promise().getConnection()),
      failure(createRotatingMysqlPool(refused$, pools.where)),
    ]);
    audit.printAll({
      'refusal of a connection': connection,
      'refusal of a pool': created,
      'pool that is refused': pool,
    });
    clean();
  });

  it('of Knex and TypeORM', async () => {
    const pool = pools.add(new RotatingMysqlPool(await stream(), pools.where));
    const db = knex({ client: 'mysql2', connectionPool: knexPool(pool) } as never);
    await db.raw('select 1');
    const connection = await db.client.acquireConnection();
    const driver = rotatingMysqlDriver(await stream());
    const dataSource = await new DataSource({ type: 'mysql', driver, ...pools.where }).initialize();
    audit.printAll({
      'pool for Knex': knexPool(pool),
      knex: db,
      'client of Knex': db.client,
      'connection of Knex': connection,
      'error of Knex': await failure(db('nowhere').select() as unknown as Promise<unknown>),
      'driver for TypeORM': driver,
      'data source': dataSource,
      'driver of a data source': dataSource.driver,
      'pool of a data source': (dataSource.driver as unknown as { pool: Pool }).pool,
      'error of TypeORM': await failure(dataSource.query('select * from nowhere')),
    });
    await db.client.releaseConnection(connection);
    await dataSource.destroy();
    clean();
  });
});
