import { Injectable } from '@nestjs/common';
import { Kysely, sql, type Generated, type Selectable } from 'kysely';

export interface Database {
  orders: {
    id: Generated<string>;
    item: string;
    quantity: number;
    state: Generated<'open' | 'shipped'>;
  };
}

export type Order = Selectable<Database['orders']>;

/** An ordinary repository with Kysely: none of its queries depends on the change of users. */
@Injectable()
export class OrdersRepository {
  constructor(private readonly db: Kysely<Database>) {}

  place(item: string, quantity = 1): Promise<Order> {
    return this.db.insertInto('orders').values({ item, quantity }).returningAll().executeTakeFirstOrThrow();
  }

  recent(limit = 10): Promise<Order[]> {
    return this.db.selectFrom('orders').selectAll().orderBy('id', 'desc').limit(limit).execute();
  }

  /** Ships the oldest open order, in a transaction. */
  ship(): Promise<Order | undefined> {
    return this.db.transaction().execute(async (transaction) => {
      const open = await transaction
        .selectFrom('orders')
        .selectAll()
        .where('state', '=', 'open')
        .orderBy('id')
        .limit(1)
        .forUpdate()
        .skipLocked()
        .executeTakeFirst();
      if (open) {
        await transaction.updateTable('orders').set({ state: 'shipped' }).where('id', '=', open.id).execute();
      }
      return open;
    });
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const { rows } = await sql<{ user: string }>`SELECT current_user AS "user"`.execute(this.db);
    return rows[0]?.user ?? 'nobody';
  }
}
