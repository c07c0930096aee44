import { Module } from '@nestjs/common';
import { AppModule } from './app.module.js';
import { LoadService } from './load/load.service.js';
import { OrdersModule } from './orders/orders.module.js';

/** The application under load. An application of your own needs AppModule only. */
@Module({
  imports: [AppModule, OrdersModule],
  // Idle until main.ts starts it.
  providers: [LoadService],
})
export class DemoModule {}
