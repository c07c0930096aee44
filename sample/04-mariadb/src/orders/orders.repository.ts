import { Inject, Injectable } from '@nestjs/common';
import type { ResultSetHeader, RowDataPacket } from 'mysql2';
import type { Pool } from 'mysql2/promise';

export const ORDERS_POOL = Symbol('ORDERS_POOL');

export interface Order extends RowDataPacket {
  id: number;
  item: string;
  quantity: number;
  state: 'open' | 'shipped';
  placedAt: Date;
}

const COLUMNS = 'id, item, quantity, state, placed_at AS placedAt';

/** An ordinary repository with a pool of mysql2: none of its queries depends on the change of users. */
@Injectable()
export class OrdersRepository {
  constructor(@Inject(ORDERS_POOL) private readonly pool: Pool) {}

  async place(item: string, quantity = 1): Promise<number> {
    const [{ insertId }] = await this.pool.execute<ResultSetHeader>(
      'INSERT INTO orders (item, quantity) VALUES (?, ?)',
      [item, quantity],
    );
    return insertId;
  }

  async recent(limit = 10): Promise<Order[]> {
    const [rows] = await this.pool.query<Order[]>(`SELECT ${COLUMNS} FROM orders ORDER BY id DESC LIMIT ?`, [
      limit,
    ]);
    return rows;
  }

  /** Ships the oldest open order, in a transaction on one connection. */
  async ship(): Promise<void> {
    const connection = await this.pool.getConnection();
    try {
      await connection.beginTransaction();
      const [[open]] = await connection.query<Order[]>(
        `SELECT id FROM orders WHERE state = 'open' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`,
      );
      if (open) await connection.execute(`UPDATE orders SET state = 'shipped' WHERE id = ?`, [open.id]);
      await connection.commit();
      connection.release();
    } catch (error) {
      // Closes the connection instead of releasing it: this rolls back an open transaction.
      connection.destroy();
      throw error;
    }
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const [[row]] = await this.pool.query<RowDataPacket[]>(`SELECT current_user() AS user`);
    return String(row?.['user']);
  }
}
