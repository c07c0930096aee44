import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import { rotatingSequelizeOptions } from 'nestjs-vault/sequelize';
import type { Observable } from 'rxjs';
import { Sequelize } from 'sequelize';
import { defineOrder } from './order.model.js';
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
      provide: Sequelize,
      inject: [getCredentialsToken('orders'), ConfigService],
      useFactory: async (credentials$: Observable<DatabaseCredentials>, config: ConfigService) => {
        const options = {
          dialect: 'postgres' as const,
          host: config.getOrThrow<string>('PGHOST'),
          port: Number(config.get('PGPORT', 5432)),
          database: config.getOrThrow<string>('PGDATABASE'),
          logging: false as const,
          pool: { max: 5 },
        };
        // Milliseconds; no transaction of this application takes longer.
        const sequelize = new Sequelize(rotatingSequelizeOptions(credentials$, options, { drain: 2_000 }));
        defineOrder(sequelize);
        // Connects at the start, which fails if the database rejects the first user.
        await sequelize.authenticate();
        return sequelize;
      },
    },
  ],
})
export class AppModule {}
