import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { VaultModule } from 'nestjs-vault';
import { configuration, type Configuration } from './config/configuration.js';
import { vaultOptions } from './config/vault.options.js';
import { HealthController } from './health/health.controller.js';
import { OrdersModule } from './orders/orders.module.js';

@Module({
  imports: [
    // Only `configuration` reads the variables, when the application is created, not on import.
    ConfigModule.forRoot({
      isGlobal: true,
      ignoreEnvFile: true,
      skipProcessEnv: true,
      load: [() => configuration()],
    }),
    VaultModule.forRootAsync({
      inject: [ConfigService],
      useFactory: (config: ConfigService<Configuration, true>) =>
        vaultOptions(config.get('vault', { infer: true })),
    }),
    OrdersModule,
  ],
  controllers: [HealthController],
})
export class AppModule {}
