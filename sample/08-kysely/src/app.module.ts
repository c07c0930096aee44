import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { Kysely, PostgresDialect } from 'kysely';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import type { Observable } from 'rxjs';
import { OrdersRepository, type Database } from './orders.repository.js';

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
      provide: Kysely,
      inject: [getCredentialsToken('orders'), ConfigService],
      useFactory: async (credentials$: Observable<DatabaseCredentials>, config: ConfigService) => {
        const pool = await createRotatingPgPool(credentials$, {
          host: config.getOrThrow<string>('PGHOST'),
          port: Number(config.get('PGPORT', 5432)),
          database: config.getOrThrow<string>('PGDATABASE'),
          max: 5,
          // Milliseconds; no transaction of this application takes longer.
          drain: 2_000,
        });
        return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
      },
    },
  ],
})
export class AppModule {}
