import { Module } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import { getCredentialsToken, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingMysqlPool } from 'nestjs-vault/mysql2';
import type { Observable } from 'rxjs';
import { OrdersController } from './orders.controller.js';
import { ORDERS_POOL, OrdersRepository } from './orders.repository.js';

@Module({
  controllers: [OrdersController],
  providers: [
    OrdersRepository,
    {
      provide: ORDERS_POOL,
      inject: [getCredentialsToken('orders'), ConfigService],
      // The pool ends itself at shutdown, when the stream of credentials completes.
      useFactory: (credentials$: Observable<DatabaseCredentials>, config: ConfigService) =>
        createRotatingMysqlPool(credentials$, {
          host: config.getOrThrow<string>('MYSQL_HOST'),
          port: Number(config.get('MYSQL_PORT', 3306)),
          database: config.get<string>('MYSQL_DATABASE', 'orders'),
          connectionLimit: 5,
          // Milliseconds; as long as the longest transaction.
          drain: 2_000,
        }),
    },
  ],
  exports: [OrdersRepository],
})
export class OrdersModule {}
