import { createServer, type AddressInfo } from 'node:net';
import { Injectable, Module, type OnModuleInit } from '@nestjs/common';
import {
  appRole,
  InjectCredentials,
  InjectSecret,
  VaultModule,
  type DatabaseCredentials,
  type Secret,
} from 'nestjs-vault';
import { createRotatingPgPool } from 'nestjs-vault/pg';
import type { Pool } from 'pg';
import type { Observable } from 'rxjs';

/** Value of its KV secret. */
export const KEY = 'canary-key-4411';

/** The application of the tests; its environment alone decides about its server. */
@Injectable()
export class Orders implements OnModuleInit {
  pool!: Pool;
  static env: Record<string, string> = {};

  constructor(
    @InjectCredentials('orders') private readonly credentials$: Observable<DatabaseCredentials>,
    @InjectSecret('payments', { key: 'apiKey' }) readonly apiKey: Secret,
  ) {}

  async onModuleInit() {
    const { PGHOST: host = '', PGPORT: port, PGDATABASE: database = '' } = Orders.env;
    this.pool = await createRotatingPgPool(this.credentials$, {
      host,
      port: Number(port),
      database,
      drain: 500,
    });
  }

  async user() {
    const { rows } = await this.pool.query<{ name: string }>('select session_user as name');
    return rows[0]?.name;
  }
}

@Module({
  imports: [
    VaultModule.forRootAsync({
      useFactory: () => {
        const {
          VAULT_ADDR: address = '',
          VAULT_ROLE_ID: roleId = '',
          VAULT_SECRET_ID: secretId = '',
        } = Orders.env;
        return { address, auth: appRole({ roleId, secretId }) };
      },
    }),
  ],
  providers: [Orders],
})
export class AppModule {}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** The file of `nestjs-vault dev` for the application. */
export const devFile = ({
  url,
  maxTtl = '4s',
  secret = 'payments',
}: {
  url: string;
  maxTtl?: string;
  secret?: string;
}) => `
    export default {
      databases: {
        shop: {
          url: ${JSON.stringify(url)},
          prepare: ['CREATE TABLE IF NOT EXISTS orders (id int)'],
          roles: {
            orders: {
              defaultTtl: '2s',
              maxTtl: '${maxTtl}',
              creationStatements: [\`CREATE ROLE "{{name}}" LOGIN PASSWORD '{{password}}'\`],
              revocationStatements: ['DROP ROLE IF EXISTS "{{name}}"'],
            },
          },
        },
      },
      kv: { '${secret}': { apiKey: '${KEY}' } },
      appRoles: { orders: { tokenPeriod: '1h' } },
    };
  `;
