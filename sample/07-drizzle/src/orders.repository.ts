import { Inject, Injectable } from '@nestjs/common';
import { asc, desc, eq, sql } from 'drizzle-orm';
import type { NodePgDatabase } from 'drizzle-orm/node-postgres';
import { orders, type Order } from './schema.js';

export const DRIZZLE = Symbol('DRIZZLE');

/** An ordinary repository with Drizzle: none of its queries depends on the change of users. */
@Injectable()
export class OrdersRepository {
  constructor(@Inject(DRIZZLE) private readonly db: NodePgDatabase) {}

  async place(item: string, quantity = 1): Promise<Order> {
    const [order] = await this.db.insert(orders).values({ item, quantity }).returning();
    return order as Order;
  }

  async recent(limit = 10): Promise<Order[]> {
    return this.db.select().from(orders).orderBy(desc(orders.id)).limit(limit);
  }

  /** Ships the oldest open order, in a transaction. */
  ship(): Promise<Order | undefined> {
    return this.db.transaction(async (transaction) => {
      const [open] = await transaction
        .select()
        .from(orders)
        .where(eq(orders.state, 'open'))
        .orderBy(asc(orders.id))
        .limit(1)
        .for('update', { skipLocked: true });
      if (open) await transaction.update(orders).set({ state: 'shipped' }).where(eq(orders.id, open.id));
      return open;
    });
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const { rows } = await this.db.execute<{ user: string }>(sql`SELECT current_user AS "user"`);
    return rows[0]?.user ?? 'nobody';
  }
}
