import { Controller, Get, ServiceUnavailableException } from '@nestjs/common';
import { CredentialsService, type VaultStatus } from 'nestjs-vault';
import { firstValueFrom } from 'rxjs';

/** The token and the leases, each with its expiry and its next step. A status contains no secret. */
@Controller('health')
export class HealthController {
  constructor(private readonly credentials: CredentialsService) {}

  @Get()
  async health(): Promise<VaultStatus> {
    const status = await firstValueFrom(this.credentials.status$);
    const usable = status.connections.every(({ leases }) => leases.every(({ state }) => state !== 'expired'));
    if (!usable) throw new ServiceUnavailableException(status);
    return status;
  }
}
