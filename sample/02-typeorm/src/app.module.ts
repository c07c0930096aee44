import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { TypeOrmModule } from '@nestjs/typeorm';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import { rotatingTypeOrmDriver } from 'nestjs-vault/typeorm';
import type { Observable } from 'rxjs';
import { CreateOrders1764000000000 } from './migrations/1764000000000-create-orders.js';
import { Order } from './orders/order.entity.js';
import { OrdersModule } from './orders/orders.module.js';

@Module({
  imports: [
    ConfigModule.forRoot({ isGlobal: true, ignoreEnvFile: true }),
    VaultModule.forRootAsync({
      inject: [ConfigService],
      useFactory: (config: ConfigService) => ({
        address: config.getOrThrow<string>('VAULT_ADDR'),
        auth: appRole({
          roleId: config.getOrThrow<string>('VAULT_ROLE_ID'),
          secretId: fromEnv('VAULT_SECRET_ID'),
        }),
      }),
    }),
    TypeOrmModule.forRootAsync({
      inject: [getCredentialsToken('orders'), ConfigService],
      useFactory: (credentials$: Observable<DatabaseCredentials>, config: ConfigService) => ({
        type: 'postgres',
        // Milliseconds; no transaction of this application takes longer.
        driver: rotatingTypeOrmDriver(credentials$, { drain: 10_000 }),
        host: config.getOrThrow<string>('PGHOST'),
        port: Number(config.get('PGPORT', 5432)),
        database: config.getOrThrow<string>('PGDATABASE'),
        applicationName: 'orders',
        poolSize: 5,
        entities: [Order],
        migrations: [CreateOrders1764000000000],
        migrationsRun: true,
      }),
    }),
    OrdersModule,
  ],
})
export class AppModule {}
