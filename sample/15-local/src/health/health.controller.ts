import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import { VaultHealthIndicator } from 'nestjs-vault/terminus';

/** The probes of an orchestrator. None of them sends a request to the Vault server. */
@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly vault: VaultHealthIndicator,
  ) {}

  @Get('started')
  @HealthCheck()
  started(): Promise<HealthCheckResult> {
    return this.health.check([() => this.vault.checkStartup('vault')]);
  }

  /** Every credential is valid, also through an outage that the credentials outlive; not while the application drains. */
  @Get('ready')
  @HealthCheck()
  ready(): Promise<HealthCheckResult> {
    return this.health.check([() => this.vault.checkReadiness('vault')]);
  }

  /** The event loop answers. An outage is no reason for a restart, as a start needs a login. */
  @Get('live')
  @HealthCheck()
  live(): Promise<HealthCheckResult> {
    return this.health.check([() => this.vault.checkLiveness('vault')]);
  }
}
