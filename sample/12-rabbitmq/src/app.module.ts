import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type Credentials } from 'nestjs-vault';
import { createRotatingAmqpConnection } from 'nestjs-vault/rabbitmq';
import type { Observable } from 'rxjs';
import { OrdersQueue, RABBITMQ } from './orders.queue.js';

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
    OrdersQueue,
    {
      provide: RABBITMQ,
      inject: [getCredentialsToken({ path: 'rabbitmq/creds/orders' }), ConfigService],
      // The client closes itself at shutdown, when the stream of credentials completes.
      useFactory: (credentials$: Observable<Credentials>, config: ConfigService) =>
        createRotatingAmqpConnection(credentials$, config.getOrThrow<string>('RABBITMQ_URL'), {
          // Milliseconds; no message takes longer to process.
          drain: 2_000,
        }),
    },
  ],
})
export class AppModule {}
