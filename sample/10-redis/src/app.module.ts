import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type DatabaseCredentials } from 'nestjs-vault';
import { createRotatingRedisClient } from 'nestjs-vault/redis';
import type { Observable } from 'rxjs';
import { CacheService, REDIS } from './cache.service.js';

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
    CacheService,
    {
      provide: REDIS,
      inject: [getCredentialsToken('cache'), ConfigService],
      // The client closes itself at shutdown, when the stream of credentials completes.
      useFactory: (credentials$: Observable<DatabaseCredentials>, config: ConfigService) =>
        createRotatingRedisClient(credentials$, {
          socket: {
            host: config.getOrThrow<string>('REDIS_HOST'),
            port: Number(config.get('REDIS_PORT', 6379)),
          },
          // Milliseconds; no command of this application takes longer.
          drain: 2_000,
        }),
    },
  ],
})
export class AppModule {}
