import { Module } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { STSClient } from '@aws-sdk/client-sts';
import { appRole, fromEnv, getCredentialsToken, VaultModule, type Credentials } from 'nestjs-vault';
import { rotatingAwsCredentials } from 'nestjs-vault/aws';
import type { Observable } from 'rxjs';
import { IdentityService } from './identity.service.js';

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
  ],
  providers: [
    IdentityService,
    {
      provide: STSClient,
      inject: [getCredentialsToken({ path: 'aws/sts/reports' })],
      // The SDK itself reads AWS_REGION, and AWS_ENDPOINT_URL for a server other than AWS.
      useFactory: (credentials$: Observable<Credentials>) =>
        new STSClient({ credentials: rotatingAwsCredentials(credentials$) }),
    },
  ],
})
export class AppModule {}
