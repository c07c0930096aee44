import { Global, Inject, Module } from '@nestjs/common';
import { appRole, CredentialsService, VaultModule } from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule } from 'nestjs-vault/testing';
import { expect, it } from 'vitest';
import { Applications } from '../support/applications.js';

it('of all onApplicationShutdown, those of global modules imported before VaultModule come after the close', async () => {
  const apps = new Applications();
  const vault = new SimulatedVault();
  vault.databaseRole('orders');
  const { roleId, secretId } = vault.appRole('app');
  const seen: string[] = [];
  const hooked = (name: string) => {
    @Module({})
    class Hooked {
      constructor(@Inject(CredentialsService) private readonly credentials: CredentialsService) {}
      onModuleDestroy = () => this.#ask('destroy');
      beforeApplicationShutdown = () => this.#ask('before');
      onApplicationShutdown = () => this.#ask('shutdown');
      #ask(hook: string) {
        return this.credentials.get('database/creds/orders').then(
          () => seen.push(`${name} ${hook}: has credentials`),
          (error: { code: string }) => seen.push(`${name} ${hook}: ${error.code}`),
        );
      }
    }
    return Hooked;
  };
  const [GlobalBefore, GlobalAfter] = [hooked('global, before'), hooked('global, after')];
  for (const module of [GlobalBefore, GlobalAfter]) Global()(module);
  const app = await apps.start({
    imports: [
      VaultTestingModule.forRoot({ vault }),
      GlobalBefore,
      hooked('before'),
      VaultModule.forRoot({
        address: 'https://vault.internal:8200',
        auth: appRole({ roleId, secretId: secretId() }),
      }),
      GlobalAfter,
      hooked('after'),
    ],
  });
  await app.close();
  expect(seen.filter((line) => !line.endsWith('has credentials'))).toEqual([
    'global, before shutdown: VAULT_CLOSED',
  ]);
  expect(seen).toHaveLength(12);
});
