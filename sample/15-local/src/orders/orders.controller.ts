import { BadRequestException, Body, Controller, Get, Post } from '@nestjs/common';
import { OrdersRepository, type Order } from './orders.repository.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersRepository) {}

  @Get()
  recent(): Promise<Order[]> {
    return this.orders.recent();
  }

  @Post()
  place(@Body() body: { item?: unknown }): Promise<Order> {
    if (typeof body?.item !== 'string' || body.item === '')
      throw new BadRequestException('`item` must be a text.');
    return this.orders.place(body.item);
  }
}
