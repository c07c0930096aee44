import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { MikroORM } from '@mikro-orm/postgresql';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import { rotatingMikroOrmOptions } from 'nestjs-vault/mikro-orm';
import type { Observable } from 'rxjs';
import { OrderSchema } from './order.entity.js';
import { OrdersRepository } from './orders.repository.js';

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
  ],
  providers: [
    OrdersRepository,
    {
      provide: MikroORM,
      inject: [getCredentialsToken('orders'), ConfigService],
      useFactory: (credentials$: Observable<DatabaseCredentials>, config: ConfigService) =>
        MikroORM.init({
          host: config.getOrThrow<string>('PGHOST'),
          port: Number(config.get('PGPORT', 5432)),
          dbName: config.getOrThrow<string>('PGDATABASE'),
          entities: [OrderSchema],
          pool: { max: 5 },
          // Milliseconds; no transaction of this application takes longer.
          driverOptions: rotatingMikroOrmOptions(credentials$, { drain: 2_000 }),
        }),
    },
  ],
})
export class AppModule {}
