import { Controller, Get } from '@nestjs/common';
import { OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Get()
  async recent(): Promise<object[]> {
    // JSON has no bigint, so ids are sent as strings.
    return (await this.orders.recent()).map((order) => ({ ...order, id: String(order.id) }));
  }
}
