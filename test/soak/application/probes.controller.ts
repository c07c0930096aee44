import { Controller, Get, Module } from '@nestjs/common';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { VaultHealthIndicator } from 'nestjs-vault/terminus';

/** The probes of an orchestrator. */
@Controller('probe')
class ProbesController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly vault: VaultHealthIndicator,
  ) {}

  @Get('started')
  started() {
    return this.health.check([() => this.vault.checkStartup('vault')]);
  }

  @Get('ready')
  ready() {
    return this.health.check([() => this.vault.checkReadiness('vault')]);
  }

  @Get('live')
  live() {
    return this.health.check([() => this.vault.checkLiveness('vault')]);
  }
}

@Module({
  // After SIGTERM the application answers probes for a moment.
  imports: [TerminusModule.forRoot({ logger: false, gracefulShutdownTimeoutMs: 500 })],
  controllers: [ProbesController],
  providers: [VaultHealthIndicator],
})
export class ProbesModule {}
