import { Injectable, type OnModuleInit } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { InjectCredentials, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import type { Pool } from 'pg';
import type { Observable } from 'rxjs';
import type { Configuration } from '../config/configuration.js';
import type { NewOrder, Order } from './order.js';

const COLUMNS = 'id, item, quantity, state, placed_at AS "placedAt"';

/** An ordinary repository with a pg.Pool: none of its queries depends on the change of users. */
@Injectable()
export class OrdersRepository implements OnModuleInit {
  private pool!: Pool;

  constructor(
    @InjectCredentials('orders') private readonly credentials$: Observable<DatabaseCredentials>,
    private readonly config: ConfigService<Configuration, true>,
  ) {}

  /** A pool that ends itself at shutdown, when the stream of credentials completes. */
  async onModuleInit(): Promise<void> {
    this.pool = await createRotatingPgPool(this.credentials$, {
      ...this.config.get('database', { infer: true }),
      max: 5,
      // Milliseconds; longer than the slowest query here, and shorter than the TTL of the role.
      drain: 4_000,
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
      application_name: 'orders',
    });
  }

  async place({ item, quantity }: NewOrder): Promise<Order> {
    const { rows } = await this.pool.query<Order>(
      `INSERT INTO orders (item, quantity) VALUES ($1, $2) RETURNING ${COLUMNS}`,
      [item, quantity],
    );
    return rows[0] as Order;
  }

  async recent(limit = 10): Promise<Order[]> {
    const { rows } = await this.pool.query<Order>(`SELECT ${COLUMNS} FROM orders ORDER BY id DESC LIMIT $1`, [
      limit,
    ]);
    return rows;
  }

  /** Ships the oldest open order, in a transaction on one connection. */
  async ship(): Promise<Order | undefined> {
    const client = await this.pool.connect();
    try {
      await client.query('BEGIN');
      const open = await client.query<Pick<Order, 'id'>>(
        `SELECT id FROM orders WHERE state = 'open' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`,
      );
      const shipped = await client.query<Order>(
        `UPDATE orders SET state = 'shipped' WHERE id = $1 RETURNING ${COLUMNS}`,
        [open.rows[0]?.id],
      );
      await client.query('COMMIT');
      client.release();
      return shipped.rows[0];
    } catch (error) {
      // Closes the connection instead of releasing it: this rolls back an open transaction.
      client.release(true);
      throw error;
    }
  }

  /** A slow query, so that a rotation has a busy connection to drain. */
  async report(seconds: number): Promise<number> {
    const { rows } = await this.pool.query<{ open: string }>(
      `SELECT count(*) AS open, pg_sleep($1) FROM orders WHERE state = 'open'`,
      [seconds],
    );
    return Number(rows[0]?.open);
  }
}
