import { Module } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { loadOn } from '../../common/load.mjs';
import { AppModule } from './app.module.js';
import { OrdersRepository } from './orders.repository.js';

/** The application under the load of `npm start`. An application of your own needs AppModule only. */
@Module({
  imports: [AppModule],
  providers: [
    loadOn(ModuleRef, OrdersRepository, (orders) => [
      () => orders.place('tea'),
      () => orders.recent(),
      () => orders.ship(),
    ]),
  ],
})
export class DemoModule {}
