import { Injectable } from '@nestjs/common';
import { InjectDataSource, InjectRepository } from '@nestjs/typeorm';
import type { DataSource, Repository } from 'typeorm';
import { Order } from './order.entity.js';

/** An ordinary service with a repository: nothing in it depends on the change of users. */
@Injectable()
export class OrdersService {
  constructor(
    @InjectRepository(Order) private readonly orders: Repository<Order>,
    @InjectDataSource() private readonly dataSource: DataSource,
  ) {}

  place(item: string, quantity = 1): Promise<Order> {
    return this.orders.save({ item, quantity });
  }

  recent(limit = 10): Promise<Order[]> {
    return this.orders.find({ order: { id: 'DESC' }, take: limit });
  }

  /** Ships the oldest open order, in a transaction. */
  ship(): Promise<Order | null> {
    return this.dataSource.transaction(async (manager) => {
      const order = await manager.findOne(Order, {
        where: { state: 'open' },
        order: { id: 'ASC' },
        lock: { mode: 'pessimistic_write', onLocked: 'skip_locked' },
      });
      if (!order) return null;
      order.state = 'shipped';
      return manager.save(order);
    });
  }

  /** The user that is logged in now; its statements run as orders_owner. */
  async user(): Promise<string> {
    const [row] = await this.dataSource.query<{ user: string }[]>('SELECT session_user AS "user"');
    return row?.user ?? 'nobody';
  }
}
