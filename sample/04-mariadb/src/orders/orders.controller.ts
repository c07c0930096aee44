import { Controller, Get } from '@nestjs/common';
import { OrdersRepository, type Order } from './orders.repository.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersRepository) {}

  @Get()
  recent(): Promise<Order[]> {
    return this.orders.recent();
  }
}
