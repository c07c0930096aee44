// Compiled against the published types in a scratch application; never run.
import { Injectable, Module } from '@nestjs/common';
import {
  appRole,
  fromEnv,
  InjectCredentials,
  InjectSecret,
  Secret,
  VaultModule,
  type DatabaseCredentials,
} from 'nestjs-vault';
import { HealthCheckService } from '@nestjs/terminus';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import { VaultHealthIndicator, type VaultReadinessOptions } from 'nestjs-vault/terminus';
import type { Observable } from 'rxjs';

@Injectable()
export class Repository {
  constructor(
    @InjectCredentials('orders') readonly credentials$: Observable<DatabaseCredentials>,
    @InjectSecret('app', { key: 'apiKey' }) readonly apiKey: Secret,
  ) {}

  pool() {
    return createRotatingPgPool(this.credentials$, { host: 'localhost' });
  }
}

export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly vault: VaultHealthIndicator,
  ) {}

  ready(options: VaultReadinessOptions) {
    return this.health.check([() => this.vault.checkReadiness('vault', options)]);
  }
}

@Module({
  imports: [
    VaultModule.forRootAsync({
      useFactory: () => ({
        address: 'https://vault',
        auth: appRole({ roleId: 'r', secretId: fromEnv('S') }),
      }),
    }),
  ],
  providers: [Repository],
})
export class AppModule {}
