import { BadRequestException, Body, Controller, Get, Post } from '@nestjs/common';
import type { NewOrder, Order } from './order.js';
import { OrdersRepository } from './orders.repository.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersRepository) {}

  @Get()
  recent(): Promise<Order[]> {
    return this.orders.recent();
  }

  @Post()
  place(@Body() body: unknown): Promise<Order> {
    return this.orders.place(toNewOrder(body));
  }
}

function toNewOrder(body: unknown): NewOrder {
  const { item, quantity = 1 } = (body ?? {}) as Partial<Record<keyof NewOrder, unknown>>;
  if (typeof item !== 'string' || item === '' || item.length > 100) {
    throw new BadRequestException('`item` must be a text of 1 to 100 characters.');
  }
  if (!Number.isInteger(quantity) || Number(quantity) < 1 || Number(quantity) > 1_000_000) {
    throw new BadRequestException('`quantity` must be a whole number from 1 to 1000000.');
  }
  return { item, quantity: Number(quantity) };
}
