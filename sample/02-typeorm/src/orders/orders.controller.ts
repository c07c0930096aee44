import { Controller, Get } from '@nestjs/common';
import type { Order } from './order.entity.js';
import { OrdersService } from './orders.service.js';

@Controller('orders')
export class OrdersController {
  constructor(private readonly orders: OrdersService) {}

  @Get()
  recent(): Promise<Order[]> {
    return this.orders.recent();
  }
}
