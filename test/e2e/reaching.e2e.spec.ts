import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Injectable } from '@nestjs/common';
import { firstValueFrom } from 'rxjs';
import {
  appRole,
  CredentialsService,
  InjectSecret,
  InjectVault,
  Secret,
  token,
  VaultClient,
  vaultOptionsFromEnv,
  VaultModule,
} from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { Authority, opensslAvailable } from '../support/certificates.js';
import { ConnectProxy } from '../support/connect-proxy.js';
import { describeReal } from '../support/real-servers.js';
import { provision, startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';

const describeTls = opensslAvailable && process.platform !== 'win32' ? describeReal : describe.skip;

describeTls('three connections: https, a Unix socket, and a proxy', () => {
  const apps = new Applications();
  const folder = mkdtempSync(join(tmpdir(), 'nv-'));
  const socket = join(folder, 'bao.sock');
  let authority: Authority;
  let bao: OpenBaoServer;
  /** The server with the namespace `team`. HashiCorp Vault without Enterprise has none: there, a second server. */
  let teamBao: OpenBaoServer;
  let proxy: ConnectProxy;
  let role: Provisioned;
  let team: Provisioned;

  beforeAll(async () => {
    authority = new Authority();
    const { certFile, keyFile } = authority.issue('bao', 'IP:127.0.0.1,DNS:vault.test');
    const tls = { certFile, keyFile, caFile: authority.certFile };
    bao = await startOpenBao({ tls, socket });
    teamBao = bao.kind === 'vault' ? await startOpenBao({ tls }) : bao;
    proxy = await ConnectProxy.start();
    if (bao.kind === 'openbao') await bao.api('PUT', 'sys/namespaces/team');
    role = await provision(bao, undefined);
    team = await provision(teamBao, undefined, { namespace: 'team', approleMount: 'machines' });
    await bao.api('POST', 'secret/data/where', { data: { place: 'root' } });
    await teamBao.api('POST', 'secret/data/where', { data: { place: 'team' } }, { namespace: 'team' });
    apps.guard(bao.rootToken, teamBao.rootToken, role.secretId, team.secretId, 'canary-password');
  });
  afterEach(() => apps.finish());
  afterAll(async () => {
    await Promise.all([proxy?.stop(), bao?.stop(), teamBao !== bao && teamBao?.stop()]);
    authority?.remove();
    rmSync(folder, { recursive: true });
  });

  it('each has its own way, namespace and method, and ends what it logged in for', async () => {
    @Injectable()
    class Consumer {
      @InjectSecret('where', { key: 'place' }) readonly direct!: Secret;
      @InjectSecret('where', { key: 'place', connection: 'agent' }) readonly agent!: Secret;
      @InjectSecret('where', { key: 'place', connection: 'team' }) readonly team!: Secret;
      @InjectVault('team') readonly client!: VaultClient;
    }
    const environment = {
      BAO_ADDR: `https://vault.test:${teamBao.port}`,
      BAO_NAMESPACE: 'team',
      BAO_CACERT: authority.certFile,
      VAULT_PROXY_ADDR: `http://user:canary-password@${proxy.host}`,
    };
    const tokens = async (server: OpenBaoServer, namespace: string) => {
      const { body } = await server.api('LIST', 'auth/token/accessors', undefined, { namespace });
      return (body as { data?: { keys: string[] } }).data?.keys.length ?? 0;
    };
    const accessors = async () => [await tokens(bao, ''), await tokens(teamBao, 'team')];
    const [root = 0, inTeam = 0] = await accessors();
    const app = await apps.start({
      imports: [
        VaultModule.forRoot({
          address: bao.address,
          tls: { ca: authority.certFile },
          auth: appRole({ roleId: role.roleId, secretId: role.secretId }),
        }),
        VaultModule.forRoot({ name: 'agent', address: `unix://${socket}`, auth: token(bao.rootToken) }),
        VaultModule.forRoot({
          name: 'team',
          ...vaultOptionsFromEnv(environment),
          auth: appRole({ roleId: team.roleId, secretId: team.secretId, mountPath: 'machines' }),
        }),
      ],
      providers: [Consumer],
    });
    const { direct, agent, team: ofTeam, client } = app.get(Consumer);
    expect([direct, agent, ofTeam].map((secret) => secret.reveal())).toEqual(['root', 'root', 'team']);
    await client.read('secret/data/where');
    expect(new Set(proxy.tunnels.map(({ target }) => target))).toEqual(
      new Set([`vault.test:${teamBao.port}`]),
    );
    const { connections } = await firstValueFrom(app.get(CredentialsService).status$);
    expect(connections.map(({ name, health }) => `${name} ${health}`).sort()).toEqual([
      'agent up',
      'default up',
      'team up',
    ]);
    expect(await accessors()).toEqual([root + 1, inTeam + 1]);
    await app.close();
    expect(await accessors()).toEqual([root, inTeam]);
    await expect.poll(() => proxy.sockets.size).toBe(0);
  });
});
