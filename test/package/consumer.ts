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
import { createRotatingPgPool } from 'nestjs-vault/pg';
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
