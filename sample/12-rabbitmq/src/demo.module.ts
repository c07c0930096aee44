import { Module } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { loadOn } from '../../common/load.mjs';
import { AppModule } from './app.module.js';
import { OrdersQueue } from './orders.queue.js';

/** The application under the load of `npm start`. An application of your own needs AppModule only. */
@Module({
  imports: [AppModule],
  providers: [loadOn(ModuleRef, OrdersQueue, (orders) => [() => orders.place('tea')])],
})
export class DemoModule {}
