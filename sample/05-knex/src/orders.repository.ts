import { Inject, Injectable } from '@nestjs/common';
import type { Knex } from 'knex';

export const KNEX = Symbol('KNEX');

export interface Order {
  id: string;
  item: string;
  quantity: number;
  state: 'open' | 'shipped';
}

/** An ordinary repository with Knex: none of its queries depends on the change of users. */
@Injectable()
export class OrdersRepository {
  constructor(@Inject(KNEX) private readonly db: Knex) {}

  async place(item: string, quantity = 1): Promise<Order> {
    const [order] = await this.db<Order>('orders').insert({ item, quantity }).returning('*');
    return order as Order;
  }

  async recent(limit = 10): Promise<Order[]> {
    return this.db<Order>('orders').orderBy('id', 'desc').limit(limit);
  }

  /** Ships the oldest open order, in a transaction. */
  ship(): Promise<Order | undefined> {
    return this.db.transaction(async (transaction) => {
      const orders = () => transaction<Order>('orders');
      const open = await orders().where({ state: 'open' }).orderBy('id').forUpdate().skipLocked().first();
      if (open) await orders().where({ id: open.id }).update({ state: 'shipped' });
      return open;
    });
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const { rows } = await this.db.raw<{ rows: { user: string }[] }>('SELECT current_user AS "user"');
    return rows[0]?.user ?? 'nobody';
  }
}
