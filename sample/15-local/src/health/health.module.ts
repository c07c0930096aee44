import { Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { VaultHealthIndicator } from 'nestjs-vault/terminus';
import { HealthController } from './health.controller.js';

@Module({
  // Without a line for each failed probe: VaultModule logs each trouble once, with its reason.
  imports: [TerminusModule.forRoot({ logger: false })],
  controllers: [HealthController],
  providers: [VaultHealthIndicator],
})
export class HealthModule {}
