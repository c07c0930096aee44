import { Module } from '@nestjs/common';
import { VaultModule } from 'nestjs-vault';
import { HealthModule } from './health/health.module.js';
import { OrdersController } from './orders/orders.controller.js';
import { OrdersRepository } from './orders/orders.repository.js';
import { PaymentsService } from './orders/payments.service.js';
import { vaultOptions } from './vault.options.js';

@Module({
  imports: [VaultModule.forRootAsync({ useFactory: () => vaultOptions() }), HealthModule],
  controllers: [OrdersController],
  providers: [OrdersRepository, PaymentsService],
})
export class AppModule {}
