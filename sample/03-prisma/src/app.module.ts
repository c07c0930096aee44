import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { appRole, fromEnv, VaultModule } from 'nestjs-vault';
import { loadOn } from '../../common/load.mjs';
import { OrdersModule } from './orders/orders.module.js';
import { OrdersService } from './orders/orders.service.js';
import { PrismaModule } from './prisma/prisma.module.js';

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
    PrismaModule,
    OrdersModule,
  ],
  providers: [
    // The work that the sample prints.
    loadOn(OrdersService, (orders) => [
      () => orders.place('tea'),
      () => orders.recent(),
      () => orders.add('milk'),
    ]),
  ],
})
export class AppModule {}
