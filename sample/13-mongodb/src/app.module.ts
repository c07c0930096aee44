import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingMongoClient } from 'nestjs-vault/mongodb';
import type { Observable } from 'rxjs';
import { MONGO, OrdersRepository } from './orders.repository.js';

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
      provide: MONGO,
      inject: [getCredentialsToken('orders'), ConfigService],
      // The client closes itself at shutdown, when the stream of credentials completes.
      useFactory: (credentials$: Observable<DatabaseCredentials>, config: ConfigService) =>
        createRotatingMongoClient(credentials$, config.getOrThrow<string>('MONGODB_URL'), {
          maxPoolSize: 5,
          // Milliseconds; no operation of this application takes longer.
          drain: 2_000,
        }),
    },
  ],
})
export class AppModule {}
