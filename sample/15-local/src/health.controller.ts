import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { CredentialsService, type VaultStatus } from 'nestjs-vault';
import { firstValueFrom } from 'rxjs';

@Controller('health')
export class HealthController {
  constructor(private readonly credentials: CredentialsService) {}

  /** Liveness: the event loop answers. It says nothing about Vault, as a restart would not help. */
  @Get('live')
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** Readiness: every credential is valid. */
  @Get('ready')
  async ready(): Promise<Pick<VaultStatus['connections'][number], 'health'>[]> {
    const { connections } = await firstValueFrom(this.credentials.status$);
    const health = connections.map((connection) => ({ health: connection.health }));
    if (health.some((one) => one.health === 'down')) throw new ServiceUnavailableException(health);
    return health;
  }
}
