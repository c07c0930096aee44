import { Injectable } from '@nestjs/common';
import { QueryTypes, Sequelize } from 'sequelize';
import { Order } from './order.model.js';

/** An ordinary repository with Sequelize: none of its queries depends on the change of users. */
@Injectable()
export class OrdersRepository {
  constructor(private readonly sequelize: Sequelize) {}

  place(item: string, quantity = 1): Promise<Order> {
    return Order.create({ item, quantity });
  }

  recent(limit = 10): Promise<Order[]> {
    return Order.findAll({ order: [['id', 'DESC']], limit });
  }

  /** Ships the oldest open order, in a transaction. */
  ship(): Promise<Order | null> {
    return this.sequelize.transaction(async (transaction) => {
      const open = await Order.findOne({
        where: { state: 'open' },
        order: ['id'],
        lock: transaction.LOCK.UPDATE,
        skipLocked: true,
        transaction,
      });
      await open?.update({ state: 'shipped' }, { transaction });
      return open;
    });
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const [row] = await this.sequelize.query<{ user: string }>('SELECT current_user AS "user"', {
      type: QueryTypes.SELECT,
    });
    return row?.user ?? 'nobody';
  }
}
