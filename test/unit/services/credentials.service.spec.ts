import { Test } from '@nestjs/testing';
import { firstValueFrom } from 'rxjs';
import { expect, it } from 'vitest';
import { CredentialsService, getCredentialsToken, token, VaultModule } from '../../../lib/index.js';
import { SimulatedVault, VaultTestingModule, VirtualClock } from '../../../lib/testing/index.js';

it.each(['my role', 'a%20b', 'ä', '100%', 'a.b-c_d'])(
  'a role named %s is requested by its name, encoded once',
  async (role) => {
    const clock = new VirtualClock();
    const vault = new SimulatedVault({ clock });
    const answer = { lease_id: 'x/y', lease_duration: 60, data: { username: role, password: 'p' } };
    // Checks the request only, not whether the server finds such a role.
    vault.answer(200, answer, { match: /creds/ });
    const app = await Test.createTestingModule({
      imports: [
        VaultTestingModule.forRoot({ vault }),
        VaultModule.forRoot({ address: 'http://vault.test', auth: token('root') }),
      ],
      providers: [
        {
          provide: 'ROLE',
          inject: [getCredentialsToken(role, { mount: '/my db/' })],
          useFactory: () => 'asked',
        },
      ],
    })
      .setLogger({ log() {}, error() {}, warn() {} })
      .compile();
    const path = `/v1/my%20db/creds/${encodeURIComponent(role)}`;
    expect(vault.requests(/creds/).map((request) => request.path)).toEqual([path]);
    const service = app.get(CredentialsService);
    const credentials = await firstValueFrom(service.database(role, { mount: 'my db' }));
    expect(credentials.username.reveal()).toBe(role);
    expect(credentials.lease.path).toBe(path.slice('/v1/'.length));
    // The same stream for both forms of the request.
    expect((await service.get(`my db/creds/${role}`)).lease.path).toBe(credentials.lease.path);
    expect(vault.count(/creds/)).toBe(1);
    await clock.until(app.close());
  },
);
