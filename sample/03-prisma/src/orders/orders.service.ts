import { Injectable } from '@nestjs/common';
import type { Order } from '../generated/prisma/client.js';
import { PrismaService } from '../prisma/prisma.service.js';

/** An ordinary service with Prisma: nothing in it depends on the change of users. */
@Injectable()
export class OrdersService {
  constructor(private readonly prisma: PrismaService) {}

  place(item: string, quantity = 1): Promise<Order> {
    return this.prisma.order.create({ data: { item, quantity } });
  }

  recent(limit = 10): Promise<Order[]> {
    return this.prisma.order.findMany({ orderBy: { id: 'desc' }, take: limit });
  }

  /** Adds to the newest order of an item, or places one, in a transaction. */
  add(item: string): Promise<Order> {
    return this.prisma.$transaction(async (transaction) => {
      const newest = await transaction.order.findFirst({ where: { item }, orderBy: { id: 'desc' } });
      if (!newest) return transaction.order.create({ data: { item } });
      return transaction.order.update({ where: { id: newest.id }, data: { quantity: { increment: 1 } } });
    });
  }

  /** The user that is logged in now. */
  async user(): Promise<string> {
    const [row] = await this.prisma.$queryRaw<{ user: string }[]>`SELECT current_user::text AS "user"`;
    return row?.user ?? 'nobody';
  }
}
