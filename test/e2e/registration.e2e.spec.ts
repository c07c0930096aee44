import { Inject, Injectable, Module } from '@nestjs/common';
import { ConfigModule, ConfigService, registerAs } from '@nestjs/config';
import { firstValueFrom, type Observable } from 'rxjs';
import {
  appRole,
  CredentialsService,
  getVaultToken,
  InjectCredentials,
  InjectSecret,
  InjectVault,
  KvService,
  Secret,
  token,
  VaultClient,
  VaultError,
  VaultModule,
  type Credentials,
  type VaultOptions,
  type VaultOptionsFactory,
} from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { HttpProxy } from '../support/http-proxy.js';
import { describeReal } from '../support/real-servers.js';
import { provision, startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';

describeReal('registration', () => {
  const apps = new Applications();
  let bao: OpenBaoServer;
  /** The server with the namespace `team`. HashiCorp Vault without Enterprise has none: there, a second server. */
  let teamBao: OpenBaoServer;
  let proxy: HttpProxy;
  /** The proxy of the second connection. */
  let other: HttpProxy;
  let role: Provisioned;
  let team: Provisioned;

  beforeAll(async () => {
    bao = await startOpenBao();
    teamBao = bao.kind === 'vault' ? await startOpenBao() : bao;
    [proxy, other] = await Promise.all([HttpProxy.start(bao.address), HttpProxy.start(teamBao.address)]);
    const { status } = await bao.api('PUT', 'sys/namespaces/team');
    expect(status).toBe(bao.kind === 'vault' ? 404 : 200);
    [role, team] = await Promise.all([
      provision(bao, undefined),
      provision(teamBao, undefined, { namespace: 'team', approleMount: 'machines' }),
    ]);
    await bao.api('POST', 'secret/data/where', { data: { place: 'root' } });
    await bao.api('POST', 'kv1/where', { place: 'root kv1' });
    await teamBao.api('POST', 'secret/data/where', { data: { place: 'team' } }, { namespace: 'team' });
    await teamBao.api('POST', 'kv1/where', { place: 'team kv1' }, { namespace: 'team' });
    apps.guard(bao.rootToken, teamBao.rootToken, role.secretId, team.secretId);
  });

  afterAll(async () => {
    await Promise.all([proxy?.stop(), other?.stop()]);
    await Promise.all([bao?.stop(), teamBao !== bao && teamBao?.stop()]);
  });

  beforeEach(() => {
    proxy.clear();
    other.clear();
  });

  afterEach(async () => {
    apps.guardSeen(proxy);
    apps.guardSeen(other);
    await apps.finish();
  });

  const options = (address = proxy.address): VaultOptions => ({
    address,
    auth: appRole({ roleId: role.roleId, secretId: role.secretId }),
  });
  const teamOptions = (): VaultOptions => ({
    address: other.address,
    namespace: 'team',
    auth: appRole({ roleId: team.roleId, secretId: team.secretId, mountPath: 'machines' }),
  });
  const place = async (client: VaultClient) =>
    (await client.read<{ data: { place: string } }>('secret/data/where')).data.reveal().data.place;
  const readPlace = async (kv: KvService, where: Parameters<KvService['read']>[1] = {}) =>
    (await kv.read<{ place: string }>('where', where)).data.reveal().place;

  it('forRoot: the services and the client of the connection can be injected', async () => {
    @Injectable()
    class Consumer {
      constructor(
        readonly kv: KvService,
        readonly credentials: CredentialsService,
        readonly client: VaultClient,
        @InjectVault() readonly byToken: VaultClient,
      ) {}
    }
    const app = await apps.start({ imports: [VaultModule.forRoot(options())], providers: [Consumer] });
    const consumer = app.get(Consumer);
    expect(await readPlace(consumer.kv)).toBe('root');
    expect(await place(consumer.client)).toBe('root');
    expect(consumer.byToken).toBe(consumer.client);
    expect(consumer.client).toBeInstanceOf(VaultClient);
    expect(consumer.credentials.recentEvents.map(({ type }) => type)).toEqual(['login']);
  });

  it('forRootAsync with useFactory, inject and imports: options from ConfigService', async () => {
    const app = await apps.start({
      imports: [
        VaultModule.forRootAsync({
          imports: [
            ConfigModule.forRoot({
              ignoreEnvFile: true,
              load: [() => ({ VAULT_ADDR: proxy.address, ROLE_ID: role.roleId, SECRET_ID: role.secretId })],
            }),
          ],
          inject: [ConfigService],
          useFactory: (config: ConfigService) => ({
            address: config.getOrThrow<string>('VAULT_ADDR'),
            auth: appRole({
              roleId: config.getOrThrow('ROLE_ID'),
              secretId: () => config.getOrThrow<string>('SECRET_ID'),
            }),
          }),
        }),
      ],
    });
    expect(await readPlace(app.get(KvService))).toBe('root');
  });

  it('forRootAsync with registerAs(...).asProvider(), and with a promise of options', async () => {
    const config = registerAs('vault', () => Promise.resolve(options()));
    const app = await apps.start({
      imports: [ConfigModule.forRoot({ ignoreEnvFile: true }), VaultModule.forRootAsync(config.asProvider())],
    });
    expect(await readPlace(app.get(KvService))).toBe('root');
  });

  it('forRootAsync with useClass: the factory gets its own dependencies', async () => {
    @Injectable()
    class Settings {
      readonly options = options();
    }
    @Injectable()
    class VaultSettings implements VaultOptionsFactory {
      constructor(private readonly settings: Settings) {}

      createVaultOptions() {
        return this.settings.options;
      }
    }
    const app = await apps.start({
      imports: [VaultModule.forRootAsync({ useClass: VaultSettings, extraProviders: [Settings] })],
    });
    expect(await readPlace(app.get(KvService))).toBe('root');
  });

  it('forRootAsync with useExisting: the instance of another module', async () => {
    let made = 0;
    @Injectable()
    class VaultSettings implements VaultOptionsFactory {
      constructor() {
        made++;
      }

      createVaultOptions() {
        return Promise.resolve(options());
      }
    }
    @Module({ providers: [VaultSettings], exports: [VaultSettings] })
    class SettingsModule {}

    const app = await apps.start({
      imports: [VaultModule.forRootAsync({ imports: [SettingsModule], useExisting: VaultSettings })],
    });
    expect(await readPlace(app.get(KvService))).toBe('root');
    expect(made).toBe(1);
  });

  it('extraProviders are for the factory of the options, and are not exported', async () => {
    const imports = [
      VaultModule.forRootAsync({
        extraProviders: [{ provide: 'ADDRESS', useFactory: () => bao.address }],
        inject: ['ADDRESS'],
        useFactory: (address: string) => options(address),
      }),
    ];
    const app = await apps.start({ imports });
    expect(await readPlace(app.get(KvService))).toBe('root');

    const error = await apps.startError({
      imports,
      providers: [{ provide: 'USER', inject: ['ADDRESS'], useFactory: (address: string) => address }],
    });
    expect(error.message).toContain('ADDRESS');
  });

  it('is global by default: a feature module need not import it', async () => {
    @Injectable()
    class Feature {
      constructor(
        readonly client: VaultClient,
        @InjectSecret('where', { key: 'place' }) readonly secret: Secret,
      ) {}
    }
    @Module({ providers: [Feature] })
    class FeatureModule {}

    const app = await apps.start({ imports: [VaultModule.forRoot(options()), FeatureModule] });
    expect(app.get(Feature, { strict: false }).secret.reveal()).toBe('root');
  });

  it('isGlobal false: a feature module has the connection only if it imports it', async () => {
    // Directly, without the proxy: if Nest itself fails the start, the library is not notified to revoke its login.
    const strange = VaultModule.forRoot({ ...options(bao.address), isGlobal: false });
    @Injectable()
    class NeedsClient {
      constructor(readonly client: VaultClient) {}
    }
    @Injectable()
    class NeedsSecret {
      constructor(@InjectSecret('where', { key: 'place' }) readonly secret: Secret) {}
    }
    for (const feature of [NeedsClient, NeedsSecret]) {
      @Module({ providers: [feature] })
      class Stranger {}
      const error = await apps.startError({ imports: [strange, Stranger] });
      expect(error.message).toContain(feature.name);
      expect(error.message).toMatch(/can't resolve dependencies/);
    }

    const vault = VaultModule.forRoot({ ...options(), isGlobal: false });
    @Module({ imports: [vault], providers: [NeedsClient, NeedsSecret] })
    class FeatureModule {}
    const app = await apps.start({ imports: [vault, FeatureModule] });
    expect(await place(app.get(NeedsClient, { strict: false }).client)).toBe('root');
    expect(app.get(NeedsSecret, { strict: false }).secret.reveal()).toBe('root');
    // One module imported twice is one connection.
    expect(proxy.count(/login$/)).toBe(1);
  });

  it('two connections by name, with addresses, namespaces and mounts of their own', async () => {
    @Injectable()
    class Consumer {
      @InjectVault('team') readonly team!: VaultClient;
      @InjectSecret('where', { key: 'place', connection: 'team' }) readonly teamSecret!: Secret;
      @InjectSecret('where', { key: 'place' }) readonly secret!: Secret;

      constructor(
        readonly client: VaultClient,
        @Inject(getVaultToken('team')) readonly teamByToken: VaultClient,
        @InjectCredentials({ path: 'kv1/where' }) readonly kv1$: Observable<Credentials<{ place: string }>>,
        @InjectCredentials({ path: 'kv1/where' }, { connection: 'team' })
        readonly teamKv1$: Observable<Credentials<{ place: string }>>,
      ) {}
    }
    const app = await apps.start({
      imports: [
        // The named connection first: the class must still stand for the default one.
        VaultModule.forRootAsync({ name: 'team', useFactory: teamOptions }),
        VaultModule.forRoot(options()),
      ],
      providers: [Consumer],
    });
    const consumer = app.get(Consumer);
    expect(consumer.secret.reveal()).toBe('root');
    expect(consumer.teamSecret.reveal()).toBe('team');
    expect(await place(consumer.client)).toBe('root');
    expect(await place(consumer.team)).toBe('team');
    expect(consumer.teamByToken).toBe(consumer.team);
    expect((await firstValueFrom(consumer.kv1$)).data.reveal().place).toBe('root kv1');
    expect((await firstValueFrom(consumer.teamKv1$)).data.reveal().place).toBe('team kv1');

    const kv = app.get(KvService);
    expect(await readPlace(kv)).toBe('root');
    expect(await readPlace(kv, { connection: 'team' })).toBe('team');
    expect(await readPlace(kv, { connection: 'team', mount: 'kv1', kvVersion: 1 })).toBe('team kv1');

    const credentials = app.get(CredentialsService);
    const inTeam = { connection: 'team' };
    const fromGet = await credentials.get<{ place: string }>('kv1/where', inTeam);
    expect(fromGet.data.reveal().place).toBe('team kv1');
    expect(credentials.current<{ place: string }>('kv1/where')?.data.reveal().place).toBe('root kv1');
    expect(credentials.current<{ place: string }>('kv1/where', inTeam)?.data.reveal().place).toBe('team kv1');
    expect((await firstValueFrom(credentials.watch('kv1/where', inTeam))).data.reveal()).toEqual({
      place: 'team kv1',
    });
    expect(credentials.status('kv1/where', inTeam)?.state).toBe('valid');
    await credentials.release('kv1/where', inTeam);
    expect(credentials.current('kv1/where', inTeam)).toBeUndefined();
    expect(credentials.current('kv1/where')).toBeDefined();

    const status = await firstValueFrom(credentials.status$);
    expect(status.connections.map(({ name }) => name).sort()).toEqual(['default', 'team']);
    expect(new Set(proxy.seen.map(({ headers }) => headers['x-vault-namespace']))).toEqual(
      new Set([undefined]),
    );
    expect(new Set(other.seen.map(({ headers }) => headers['x-vault-namespace']))).toEqual(new Set(['team']));

    await app.close();
    for (const each of [proxy, other]) expect(each.count(/revoke-self$/)).toBe(1);
  });

  it('with a named connection only, nothing stands for the one without a name', async () => {
    const imports = [VaultModule.forRoot({ ...teamOptions(), name: 'team' })];
    const app = await apps.start({ imports });
    expect(() => app.get(VaultClient)).toThrow(/could not find VaultClient/);
    const error = await readPlace(app.get(KvService)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'VAULT_CONNECTION_UNKNOWN' });
    expect((error as VaultError).message).toContain('"team"');
    expect(await readPlace(app.get(KvService), { connection: 'team' })).toBe('team');
  });

  it('the error of an unknown connection lists the existing ones', async () => {
    const app = await apps.start({
      imports: [VaultModule.forRoot(options()), VaultModule.forRoot({ ...teamOptions(), name: 'team' })],
    });
    const unknown = { connection: 'taem' };
    const credentials = app.get(CredentialsService);
    for (const ask of [
      () => app.get(KvService).read('where', unknown),
      () => credentials.get('kv1/where', unknown),
      () => firstValueFrom(credentials.watch('kv1/where', unknown)),
      () => firstValueFrom(credentials.database('orders', unknown)),
      () => credentials.release('kv1/where', unknown),
    ]) {
      const error = (await ask().catch((reason: unknown) => reason)) as VaultError;
      expect(error).toMatchObject({ code: 'VAULT_CONNECTION_UNKNOWN' });
      expect(error.message).toContain('"taem"');
      expect(error.hint).toContain('"team"');
      expect(error.hint).toContain('without a name');
    }
    expect(credentials.current('kv1/where', unknown)).toBeUndefined();
  });

  it('a decorator that names an unknown connection fails the start, and the error gives that name', async () => {
    @Injectable()
    class Host {
      constructor(@InjectSecret('where', { connection: 'taem' }) readonly secret: Secret) {}
    }
    const error = await apps.startError({
      imports: [VaultModule.forRoot(options(bao.address))],
      providers: [Host],
    });
    expect(error.message).toContain('Host');
    expect(error.message).toContain('taem');
  });

  it('two connections without a name are refused with a hint, and without a request to the server', async () => {
    const error = (await apps.startError({
      imports: [VaultModule.forRoot(options()), VaultModule.forRootAsync({ useFactory: teamOptions })],
    })) as VaultError;
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(error).toBeInstanceOf(VaultError);
    expect(error.message).toMatch(/two modules declare the connection without a name/);
    expect(error.message).toMatch(/another `name`/);
    expect([...proxy.requests, ...other.requests]).toEqual([]);

    const twice = await apps.startError({
      imports: [
        VaultModule.forRoot({ ...options(), name: 'team' }),
        VaultModule.forRoot({ ...teamOptions(), name: 'team' }),
      ],
    });
    expect(twice).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(twice.message).toContain('"team"');
  });

  it('one error lists all problems of the options, and shows no value', async () => {
    const misplaced = `${bao.rootToken} misplaced`;
    apps.guard(misplaced);
    const error = await apps.startError({
      imports: [
        VaultModule.forRoot({
          address: `http://user:${bao.rootToken}@127.0.0.1:1/v1`,
          namespace: misplaced,
          auth: appRole({ roleId: '', secretId: '' }),
          timeout: -1,
          retry: { initialDelay: 'soon' as never, maxDealy: 1 } as never,
          renewal: { at: 2 },
          startup: { login: misplaced as never },
          shutdown: { revoke: 'yes' as never },
          kvVersion: 3 as never,
          concurrency: 0,
          tls: { cert: 'x', caa: 'y' } as never,
          adress: 'typo',
        } as never),
      ],
    });
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    for (const problem of [
      'user name or password',
      '/v1',
      '`namespace`',
      '`roleId`',
      '`secretId`',
      '`timeout`',
      '`retry.initialDelay`',
      '`maxDealy`',
      '`renewal.at`',
      '`startup.login`',
      '`shutdown.revoke`',
      '`kvVersion`',
      '`concurrency`',
      '`tls.cert`',
      '`caa`',
      '`adress`',
    ])
      expect(error.message).toContain(problem);
  });

  it('the error of missing options says that they are missing', async () => {
    for (const useFactory of [() => undefined as never, () => ({}) as never]) {
      const error = await apps.startError({ imports: [VaultModule.forRootAsync({ useFactory })] });
      expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
      expect(error.message).toContain('`address` is missing');
      expect(error.message).toContain('`auth` must be');
    }
  });

  it('a failing factory of options fails the start with its own error', async () => {
    const error = await apps.startError({
      imports: [
        VaultModule.forRootAsync({ useFactory: () => Promise.reject(new Error('no settings here')) }),
      ],
    });
    expect(error.message).toBe('no settings here');
    expect(proxy.requests).toEqual([]);
  });

  it('if one connection cannot start, the other one is closed, too', async () => {
    const error = await apps.startError({
      imports: [
        VaultModule.forRoot(options()),
        VaultModule.forRoot({ ...teamOptions(), auth: token('no-such-token'), name: 'team' }),
      ],
    });
    expect(error).toMatchObject({ code: 'VAULT_TOKEN_INVALID' });
    expect(proxy.count(/login$/)).toBeLessThanOrEqual(1);
    // The error came after the close.
    expect(proxy.count(/revoke-self$/)).toBe(proxy.count(/login$/));
  });
});
