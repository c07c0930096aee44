import { text } from 'node:stream/consumers';
import { BehaviorSubject } from 'rxjs';
import { Secret, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingIoredis } from 'nestjs-vault/ioredis';
import { createRotatingMongoClient } from 'nestjs-vault/mongodb';
import { createRotatingMysqlPool } from 'nestjs-vault/mysql2';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { createRotatingAmqpConnection } from 'nestjs-vault/rabbitmq';
import { createRotatingRedisClient } from 'nestjs-vault/redis';

/** The address of a server, and two users of it, the second one for after the rotation. */
export interface Login {
  host: string;
  port: number;
  database?: string;
  users: { username: string; password: string }[];
}

type Driver = 'pg' | 'mysql2' | 'redis' | 'rabbitmq' | 'mongodb';
export type Logins = Partial<Record<Driver, Login>>;

/** Logs in with each driver in a process of its own; stdin names servers and users. */
export async function main(): Promise<void> {
  const logins = JSON.parse(await text(process.stdin)) as Logins;
  for (const name of Object.keys(logins) as Driver[]) {
    for (const [driver, use] of Object.entries(USES[name])) {
      const { users, ...where } = logins[name] as Login;
      const credentials$ = new BehaviorSubject(issued(users[0] as Login['users'][0], 1));
      await use(credentials$, where as Where, async (on) => {
        const rotated = new Promise((resolve) => on.once('rotation', resolve));
        credentials$.next(issued(users[1] as Login['users'][0], 2));
        await rotated;
      });
      console.log(`done: ${driver}`);
    }
  }
}

type Where = { host: string; port: number; database: string };
type Rotate = (on: NodeJS.EventEmitter) => Promise<void>;
type Use = (
  credentials$: BehaviorSubject<DatabaseCredentials>,
  where: Where,
  rotate: Rotate,
) => Promise<void>;

const USES: Record<Driver, Record<string, Use>> = {
  pg: {
    async pg(credentials$, where, rotate) {
      const pool = await createRotatingPgPool(credentials$, where);
      await rotate(pool);
      await pool.query('select 1');
      await pool.end();
    },
  },
  mysql2: {
    async mysql2(credentials$, where, rotate) {
      const pool = await createRotatingMysqlPool(credentials$, where);
      await rotate(pool.pool as unknown as NodeJS.EventEmitter);
      await pool.query('select 1');
      await pool.end();
    },
  },
  redis: {
    async ioredis(credentials$, { host, port }, rotate) {
      const client = await createRotatingIoredis(credentials$, { host, port });
      await rotate(client);
      await client.get('one');
      await client.quit();
    },
    async 'node-redis'(credentials$, { host, port }, rotate) {
      const client = await createRotatingRedisClient(credentials$, { socket: { host, port } });
      await rotate(client);
      await client.get('one');
      await client.close();
    },
  },
  rabbitmq: {
    async amqplib(credentials$, { host, port }, rotate) {
      const connection = await createRotatingAmqpConnection(credentials$, `amqp://${host}:${port}`);
      await rotate(connection);
      await connection.close();
    },
  },
  mongodb: {
    async mongodb(credentials$, { host, port }, rotate) {
      const url = `mongodb://${host}:${port}/?directConnection=true`;
      const mongo = await createRotatingMongoClient(credentials$, url);
      await rotate(mongo);
      await mongo.db('shop').collection('orders').insertOne({ item: 'tea' });
      await mongo.close();
    },
  },
};

function issued({ username, password }: Login['users'][0], serial: number): DatabaseCredentials {
  const lease = {
    path: 'database/creds/app',
    serial,
    tokenSequence: 1,
    issuedAt: new Date(),
    validUntil: new Date(Date.now() + 60_000),
    renewable: false,
    hold: () => () => undefined,
  };
  return { username: new Secret(username), password: new Secret(password), lease };
}
