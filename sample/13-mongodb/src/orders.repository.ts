import { Inject, Injectable } from '@nestjs/common';
import type { Collection, WithId } from 'mongodb';
import type { RotatingMongoClient } from 'nestjs-vault/mongodb';

export const MONGO = Symbol('MONGO');

export interface Order {
  item: string;
  quantity: number;
}

@Injectable()
export class OrdersRepository {
  constructor(@Inject(MONGO) private readonly mongo: RotatingMongoClient) {}

  /** Returns the collection of the current client: a stored one would keep an earlier client. */
  private get orders(): Collection<Order> {
    return this.mongo.db('shop').collection<Order>('orders');
  }

  async place(item: string, quantity = 1): Promise<void> {
    await this.orders.insertOne({ item, quantity });
  }

  recent(limit = 10): Promise<WithId<Order>[]> {
    return this.orders.find().sort({ _id: -1 }).limit(limit).toArray();
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const { authInfo } = await this.mongo.db('admin').command({ connectionStatus: 1 });
    return String(authInfo.authenticatedUsers[0]?.user);
  }
}
