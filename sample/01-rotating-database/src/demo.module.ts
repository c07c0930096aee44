import { Module } from '@nestjs/common';
import { AppModule } from './app.module.js';
import { LoadService } from './load/load.service.js';
import { OrdersModule } from './orders/orders.module.js';
import { TimelineService } from './timeline/timeline.service.js';

/** The application under load, with a timeline of its events. An application of your own needs AppModule only. */
@Module({
  imports: [AppModule, OrdersModule],
  // Both are idle until main.ts starts them.
  providers: [LoadService, TimelineService],
})
export class DemoModule {}
