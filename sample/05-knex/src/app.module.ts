import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import knex from 'knex';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import { rotatingKnexClient } from 'nestjs-vault/knex';
import type { Observable } from 'rxjs';
import { KNEX, OrdersRepository } from './orders.repository.js';

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
      provide: KNEX,
      inject: [getCredentialsToken('orders'), ConfigService],
      useFactory: async (credentials$: Observable<DatabaseCredentials>, config: ConfigService) => {
        const db = knex({
          // Milliseconds; no transaction of this application takes longer.
          client: rotatingKnexClient(credentials$, { drain: 2_000 }),
          connection: {
            host: config.getOrThrow<string>('PGHOST'),
            port: Number(config.get('PGPORT', 5432)),
            database: config.getOrThrow<string>('PGDATABASE'),
          },
          pool: { min: 0, max: 5 },
        });
        // Connects at the start, which fails if the database rejects the first user.
        await db.raw('SELECT 1');
        return db;
      },
    },
  ],
})
export class AppModule {}
