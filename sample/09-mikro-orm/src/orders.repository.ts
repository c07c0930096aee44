import { LockMode, MikroORM } from '@mikro-orm/postgresql';
import { Injectable } from '@nestjs/common';
import { Order } from './order.entity.js';

/** An ordinary repository with MikroORM: none of its queries depends on the change of users. */
@Injectable()
export class OrdersRepository {
  constructor(private readonly orm: MikroORM) {}

  async place(item: string, quantity = 1): Promise<Order> {
    const em = this.orm.em.fork();
    const order = em.create(Order, { item, quantity, state: 'open' });
    await em.flush();
    return order;
  }

  recent(limit = 10): Promise<Order[]> {
    return this.orm.em.fork().find(Order, {}, { orderBy: { id: 'desc' }, limit });
  }

  /** Ships the oldest open order, in a transaction. */
  ship(): Promise<Order | null> {
    return this.orm.em.fork().transactional(async (em) => {
      const open = await em.findOne(
        Order,
        { state: 'open' },
        // FOR UPDATE SKIP LOCKED
        { orderBy: { id: 'asc' }, lockMode: LockMode.PESSIMISTIC_PARTIAL_WRITE },
      );
      if (open) open.state = 'shipped';
      return open;
    });
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const connection = this.orm.em.getConnection();
    const rows = await connection.execute<{ user: string }[]>('SELECT current_user AS "user"');
    return rows[0]?.user ?? 'nobody';
  }
}
