import { Injectable, Module, Optional, Scope } from '@nestjs/common';
import { LazyModuleLoader, ModuleRef } from '@nestjs/core';
import { type } from 'arktype';
import { IsString, MinLength } from 'class-validator';
import {
  CredentialsService,
  getCredentialsToken,
  getSecretToken,
  InjectCredentials,
  InjectSecret,
  Secret,
  VaultModule,
  type Credentials,
  type DatabaseCredentials,
  type SchemaOutput,
  type VaultError,
} from 'nestjs-vault';
import { BehaviorSubject, firstValueFrom, isObservable, type Observable } from 'rxjs';
import * as v from 'valibot';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { SimulatedApplication } from '../support/simulated-application.js';

const PAYMENTS = { apiKey: 'canary-api-key', port: '8443' };
const Zod = z.object({ apiKey: z.string().min(8), port: z.coerce.number() });
const Valibot = v.object({ apiKey: v.string(), port: v.pipe(v.string(), v.transform(Number)) });
const Arktype = type({ apiKey: 'string>=8', port: 'string.numeric.parse' });

class PaymentsConfig {
  @IsString() @MinLength(8) apiKey!: string;
  @IsString() port!: string;

  get url() {
    return `https://payments:${this.port}`;
  }
}

let sim: SimulatedApplication;

beforeEach(() => {
  sim = new SimulatedApplication();
  sim.vault.kv().put('payments', PAYMENTS);
  sim.vault.kv().put('mail', { user: 'me', password: 'canary-mail-1' });
  sim.vault.databaseRole('orders', { defaultTtl: '1h', maxTtl: '4h' });
  sim.apps.guard(PAYMENTS.apiKey, 'canary-mail-1', 'canary-mail-2', 'canary-mail-3');
});

afterEach(() => sim.clock.until(sim.apps.finish()));

/** All values of an observable so far. */
function valuesOf<T>(values$: Observable<Secret<T>>): T[] {
  const values: T[] = [];
  values$.subscribe((secret) => values.push(secret.reveal()));
  return values;
}

describe('a schema', () => {
  it('of each kind: the output is injected, for one read of the secret', async () => {
    @Injectable()
    class Host {
      @InjectSecret('payments') readonly raw!: Secret<typeof PAYMENTS>;
      @InjectSecret('payments', { schema: Valibot }) readonly valibot!: Secret<SchemaOutput<typeof Valibot>>;
      @InjectSecret('payments', { schema: Arktype }) readonly arktype!: Secret<SchemaOutput<typeof Arktype>>;
      @InjectSecret('payments', { key: 'port', schema: z.coerce.number() }) readonly port!: Secret<number>;
      @InjectSecret('payments', { watch: true }) readonly live$!: Observable<Secret<typeof PAYMENTS>>;

      constructor(
        @InjectSecret('payments', { schema: Zod }) readonly zod: Secret<SchemaOutput<typeof Zod>>,
        @InjectSecret('payments', { schema: PaymentsConfig }) readonly config: Secret<PaymentsConfig>,
      ) {}
    }
    const host = (await sim.start({ providers: [Host] })).get(Host);
    const parsed = { apiKey: PAYMENTS.apiKey, port: 8443 };
    for (const secret of [host.zod, host.valibot, host.arktype]) expect(secret.reveal()).toEqual(parsed);
    expect(host.config.reveal()).toBeInstanceOf(PaymentsConfig);
    expect(host.config.reveal().url).toBe('https://payments:8443');
    expect(host.port.reveal()).toBe(8443);
    expect(host.raw.reveal()).toEqual(PAYMENTS);
    expect((await firstValueFrom(host.live$)).reveal()).toEqual(PAYMENTS);
    expect(sim.reads).toEqual(['GET /v1/secret/data/payments']);
    sim.apps.note(`${String(host.zod)} ${JSON.stringify(host)}`);
  });

  it('that does not match fails the start, with the keys, the module, and no value', async () => {
    const schema = z.object({ apiKey: z.string().min(99), port: z.number() });
    @Injectable()
    class Host {
      @InjectSecret('payments', { schema }) readonly payments!: Secret;
    }
    @Module({ providers: [Host] })
    class PaymentsModule {}
    const error = (await sim.startError({ imports: [PaymentsModule] })) as VaultError;
    expect(error).toMatchObject({ code: 'VAULT_SECRET_INVALID', path: 'payments' });
    expect(error.message).toContain('apiKey: Too small');
    expect(error.message).toContain('port: Invalid input: expected number');
    expect(error.message).toContain('PaymentsModule');
  });

  it('is part of the token: the same schema overrides it, and nothing is read', async () => {
    @Injectable()
    class Host {
      @InjectSecret('payments', { schema: Zod }) readonly payments!: Secret<SchemaOutput<typeof Zod>>;
      @InjectSecret('mail', { watch: { every: 60_000 } }) readonly mail$!: Observable<Secret>;
    }
    const fake = new Secret({ apiKey: 'of the test', port: 1 });
    const mail$ = new BehaviorSubject(new Secret('of the test'));
    const app = await sim.start({ providers: [Host] }, (builder) =>
      builder
        .overrideProvider(getSecretToken('payments', { schema: Zod }))
        .useValue(fake)
        .overrideProvider(getSecretToken('mail', { watch: { every: 60_000 } }))
        .useValue(mail$),
    );
    expect(app.get(Host).payments).toBe(fake);
    expect(app.get(Host).mail$).toBe(mail$);
    expect(sim.reads).toEqual([]);
    const tokens = [undefined, Zod, Valibot, Arktype, PaymentsConfig].map((schema) =>
      getSecretToken('payments', schema && { schema }),
    );
    expect(new Set(tokens).size).toBe(5);
  });

  it('that is none is refused where it is written', () => {
    for (const schema of [() => 1, {}, 'Zod', null])
      expect(() => InjectSecret('payments', { schema: schema as never })).toThrow(
        expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }),
      );
  });
});

describe('a live secret', () => {
  it('gives the current value, then each different one; all injections share one poll', async () => {
    @Injectable()
    class Host {
      @InjectSecret('mail', { watch: true }) readonly all$!: Observable<Secret<{ password: string }>>;
      @InjectSecret('mail', { watch: true, key: 'password' }) readonly password$!: Observable<Secret>;
      @InjectSecret('mail', { watch: true, key: 'user' }) readonly user$!: Observable<Secret>;
      @InjectSecret('mail', { key: 'password' }) readonly once!: Secret;
    }
    const host = (await sim.start({ providers: [Host] })).get(Host);
    const [all, passwords, users] = [valuesOf(host.all$), valuesOf(host.password$), valuesOf(host.user$)];
    sim.vault.kv().put('mail', { user: 'me', password: 'canary-mail-2' });
    await sim.clock.advance(331_000);
    expect(passwords).toEqual(['canary-mail-1', 'canary-mail-2']);
    expect(all.map(({ password }) => password)).toEqual(['canary-mail-1', 'canary-mail-2']);
    expect(users).toEqual(['me']);
    expect(host.once.reveal()).toBe('canary-mail-1');
    // A later subscriber gets the current one, without a request.
    expect((await firstValueFrom(host.password$)).reveal()).toBe('canary-mail-2');
    sim.vault.clearHistory();
    await sim.clock.advance(3_600_000);
    expect(sim.reads.length).toBeGreaterThanOrEqual(10);
    expect(sim.reads.length).toBeLessThanOrEqual(14);
  });

  it('keeps its value when a new one does not match, and says so once for each version', async () => {
    const schema = z.object({ user: z.string(), password: z.string().startsWith('canary') });
    @Injectable()
    class Host {
      @InjectSecret('mail', { watch: { every: 60_000 }, schema }) readonly mail$!: Observable<
        Secret<{ password: string }>
      >;
    }
    const app = await sim.start({ providers: [Host] });
    const values = valuesOf(app.get(Host).mail$);
    const events = () =>
      app.get(CredentialsService).recentEvents.filter((event) => event.type === 'secret-invalid');
    sim.apps.guard('not-allowed-value');
    sim.vault.kv().put('mail', { user: 'me', password: 'not-allowed-value' });
    await sim.clock.advance(300_000);
    expect(values.map(({ password }) => password)).toEqual(['canary-mail-1']);
    expect(events()).toMatchObject([
      { path: 'secret/mail', version: 2, error: { code: 'VAULT_SECRET_INVALID' }, connection: 'default' },
    ]);
    expect(sim.apps.log).toContain('secret/mail: the new value is not used');
    const status = async () => (await firstValueFrom(app.get(CredentialsService).status$)).connections[0];
    expect(await status()).toMatchObject({
      health: 'degraded',
      secrets: [{ path: 'secret/mail', state: 'degraded', error: { code: 'VAULT_SECRET_INVALID' } }],
    });
    sim.vault.kv().put('mail', { user: 'me', password: 'canary-mail-3' });
    await sim.clock.advance(67_000);
    expect(values.map(({ password }) => password)).toEqual(['canary-mail-1', 'canary-mail-3']);
    expect(await status()).toMatchObject({ health: 'up', secrets: [{ state: 'valid' }] });
  });

  it('keeps its value through an outage and while the secret is gone, and completes with the application', async () => {
    @Injectable()
    class Host {
      @InjectSecret('mail', { watch: true }) readonly mail$!: Observable<Secret<{ password: string }>>;
    }
    const app = await sim.start({ providers: [Host] });
    let ended = false;
    app.get(Host).mail$.subscribe({ complete: () => (ended = true) });
    sim.vault.seal();
    await sim.clock.advance(600_000);
    sim.vault.unseal();
    sim.vault.kv().delete('mail');
    await sim.clock.advance(600_000);
    expect((await firstValueFrom(app.get(Host).mail$)).reveal().password).toBe('canary-mail-1');
    sim.vault.kv().put('mail', { user: 'me', password: 'canary-mail-2' });
    await sim.clock.advance(331_000);
    expect((await firstValueFrom(app.get(Host).mail$)).reveal().password).toBe('canary-mail-2');
    await sim.clock.until(app.close());
    expect(ended).toBe(true);
    expect(sim.clock.pending).toBe(0);
  });

  it('is refused with a pinned version, with too short an interval, and with unknown options', () => {
    const message = (options: object) => {
      try {
        getSecretToken('mail', options);
      } catch (error) {
        return (error as Error).message;
      }
      return '';
    };
    expect(message({ version: 3, watch: true })).toContain('a pinned `version` never changes');
    expect(message({ watch: { every: 10 } })).toContain('1000 at least');
    expect(message({ watch: { evry: 10 } })).toContain('`watch` has no option `evry`');
    expect(getSecretToken('mail', { watch: false })).toBe(getSecretToken('mail'));
  });

  it('in a lazy module gets the value of now, not that of the start', async () => {
    @Injectable()
    class Early {
      @InjectSecret('mail', { key: 'password' }) readonly password!: Secret;
    }
    @Injectable()
    class Late {
      @InjectSecret('mail', { key: 'password', watch: true }) readonly password$!: Observable<Secret>;
    }
    @Module({
      imports: [VaultModule.forFeature({ secrets: [['mail', { key: 'password', watch: true }]] })],
      providers: [Late],
    })
    class LateModule {}
    const app = await sim.start({ providers: [Early] });
    sim.vault.kv().put('mail', { user: 'me', password: 'canary-mail-2' });
    await sim.clock.advance(3_600_000);
    const loaded = await sim.clock.until(app.get(LazyModuleLoader).load(() => LateModule));
    expect((await firstValueFrom(loaded.get(Late).password$)).reveal()).toBe('canary-mail-2');
    expect(app.get(Early).password.reveal()).toBe('canary-mail-1');
  });

  it('that nothing injects is read at the first subscription', async () => {
    const token = getSecretToken('mail', { watch: true });
    const app = await sim.start({});
    expect(sim.reads).toEqual([]);
    const live$ = app.get<Observable<Secret<{ password: string }>>>(token, { strict: false });
    expect((await sim.clock.until(firstValueFrom(live$))).reveal().password).toBe('canary-mail-1');
    expect(sim.reads).toHaveLength(1);
  });
});

describe('parameters', () => {
  const path = 'aws/creds/deploy';
  const hour = { path, parameters: { ttl: '1h', role_arn: 'arn:aws:iam::1:role/a' } };

  beforeEach(() => sim.vault.leasedSecret(path, { ttl: '1h', data: () => ({ access_key: 'AKIA' }) }));

  it('are sent with each issue; the same path with other parameters is another lease', async () => {
    @Injectable()
    class Host {
      @InjectCredentials(hour) readonly hour$!: Observable<Credentials>;
      @InjectCredentials({ path, parameters: { role_arn: 'arn:aws:iam::1:role/a', ttl: '1h' } })
      readonly same$!: Observable<Credentials>;
      @InjectCredentials({ path, parameters: { ttl: '2h' } }) readonly other$!: Observable<Credentials>;
      @InjectCredentials({ path }) readonly none$!: Observable<Credentials>;
    }
    const app = await sim.start({ providers: [Host] });
    const host = app.get(Host);
    const idOf = async (credentials$: Observable<Credentials>) => firstValueFrom(credentials$);
    expect(sim.reads).toEqual([`GET /v1/${path}`, `POST /v1/${path}`, `POST /v1/${path}`]);
    expect(await idOf(host.same$)).toBe(await idOf(host.hour$));
    expect(await idOf(host.other$)).not.toBe(await idOf(host.hour$));
    expect(app.get(CredentialsService).current(path, { parameters: hour.parameters })).toBe(
      await idOf(host.hour$),
    );
    expect(sim.reads).toHaveLength(3);
  });

  it('are part of the token, in any order, but not readable in it', () => {
    expect(getCredentialsToken(hour)).toBe(
      getCredentialsToken({ path, parameters: { role_arn: 'arn:aws:iam::1:role/a', ttl: '1h' } }),
    );
    expect(getCredentialsToken(hour)).not.toContain('arn');
    expect(getCredentialsToken({ path })).not.toBe(getCredentialsToken(hour));
    for (const parameters of ['ttl=1h', ['ttl'], null])
      expect(() => getCredentialsToken({ path, parameters: parameters as never })).toThrow(
        expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }),
      );
  });
});

describe('@Optional()', () => {
  it('an absent secret is undefined, for one request; one that is there is injected', async () => {
    @Injectable()
    class Host {
      @Optional() @InjectSecret('nowhere') readonly absent?: Secret;
      @Optional() @InjectSecret('nowhere', { watch: true }) readonly live$?: Observable<Secret>;
      @Optional() @InjectSecret('mail', { key: 'nokey' }) readonly key?: Secret;
      @Optional() @InjectSecret('mail', { key: 'user' }) readonly user?: Secret;

      constructor(
        @Optional() @InjectCredentials('no-such-role') readonly role$?: Observable<DatabaseCredentials>,
        @Optional() @InjectCredentials('orders') readonly orders$?: Observable<DatabaseCredentials>,
      ) {}
    }
    @Injectable({ scope: Scope.REQUEST })
    class Second {
      constructor(@Optional() @InjectSecret('nowhere') readonly absent?: Secret) {}
    }
    const app = await sim.start({ providers: [Host, Second] });
    const host = app.get(Host);
    for (const value of [host.absent, host.live$, host.key, host.role$]) expect(value).toBeUndefined();
    expect(host.user?.reveal()).toBe('me');
    expect(isObservable(host.orders$)).toBe(true);
    expect((await app.resolve(Second)).absent).toBeUndefined();
    expect(sim.reads).toEqual([
      'GET /v1/database/creds/no-such-role',
      'GET /v1/database/creds/orders',
      'GET /v1/secret/data/mail',
      'GET /v1/secret/data/nowhere',
    ]);
  });

  it('an absent secret that was written after the start is injected later', async () => {
    @Injectable()
    class Host {
      @Optional() @InjectSecret('nowhere') readonly absent?: Secret<{ key: string }>;
    }
    const app = await sim.start({ providers: [Host] });
    const later = () => sim.clock.until(app.get(ModuleRef).create(Host));
    await sim.clock.advance(60_000);
    expect((await later()).absent).toBeUndefined();
    // An outage is no reason to refuse what can do without.
    const heal = sim.vault.cut(({ path }) => path.includes('nowhere'));
    await sim.clock.advance(60_000);
    expect((await later()).absent).toBeUndefined();
    heal();
    sim.vault.kv().put('nowhere', { key: 'value' });
    await sim.clock.advance(60_000);
    expect((await later()).absent?.reveal()).toEqual({ key: 'value' });
  });

  it('a deleted one is absent, too; a factory can inject it with `optional`', async () => {
    sim.vault.kv().delete('mail');
    const app = await sim.start({
      providers: [
        {
          provide: 'MAIL',
          inject: [{ token: getSecretToken('mail'), optional: true }],
          useFactory: (mail?: Secret) => ({ mail }),
        },
      ],
    });
    expect(app.get<object>('MAIL')).toEqual({ mail: undefined });
  });

  it('a denied one fails the start', async () => {
    sim.allowOnly({ 'secret/data/mail': ['read'] });
    @Injectable()
    class Host {
      @Optional() @InjectSecret('payments') readonly payments?: Secret;
    }
    expect(await sim.startError({ providers: [Host] })).toMatchObject({ code: 'VAULT_PERMISSION_DENIED' });
  });

  it('an injection without it makes the secret required', async () => {
    @Injectable()
    class Host {
      @Optional() @InjectSecret('nowhere') readonly absent?: Secret;
    }
    @Injectable()
    class Strict {
      @InjectSecret('nowhere') readonly needed!: Secret;
    }
    @Module({ providers: [Strict] })
    class StrictModule {}
    const app = await sim.start({ providers: [Host] });
    expect(app.get(Host).absent).toBeUndefined();
    // Also later: a lazy module gets an error, not the undefined of another class.
    const error = await sim.clock
      .until(app.get(LazyModuleLoader).load(() => StrictModule))
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'VAULT_SECRET_NOT_FOUND' });
    expect(await sim.startError({ providers: [Host], imports: [StrictModule] })).toMatchObject({
      code: 'VAULT_SECRET_NOT_FOUND',
    });
  });

  it('with a deferred login, too', async () => {
    @Injectable()
    class Host {
      @Optional() @InjectSecret('nowhere') readonly absent?: Secret;
      @Optional() @InjectCredentials('no-such-role') readonly role$?: Observable<DatabaseCredentials>;
    }
    const app = await sim.start({ providers: [Host] }, undefined, { startup: { login: 'deferred' } });
    expect([app.get(Host).absent, app.get(Host).role$]).toEqual([undefined, undefined]);
  });
});

describe('forFeature', () => {
  it('declares every form, and what is missing names the module of the feature', async () => {
    const credentials = [{ path: 'aws/creds/deploy', parameters: { ttl: '1h' } }];
    const secrets = [
      ['payments', { schema: Zod }],
      ['mail', { watch: true, key: 'password' }],
    ] as const;
    sim.vault.leasedSecret('aws/creds/deploy', { ttl: '1h', data: () => ({ access_key: 'AKIA' }) });
    await sim.start({ imports: [VaultModule.forFeature({ credentials, secrets })] });
    expect(sim.reads).toEqual([
      'GET /v1/secret/data/mail',
      'GET /v1/secret/data/payments',
      'POST /v1/aws/creds/deploy',
    ]);

    @Module({
      imports: [VaultModule.forFeature({ credentials: ['no-such-role'], secrets: [...secrets, 'gone'] })],
    })
    class BillingModule {}
    @Module({ imports: [VaultModule.forFeature({ secrets: ['gone'] })] })
    class ReportsModule {}
    const error = (await sim.startError({ imports: [BillingModule, ReportsModule] })) as VaultError;
    expect(error.code).toBe('VAULT_STARTUP_FAILED');
    expect(error.errors?.map(({ message }) => message)).toEqual([
      expect.stringMatching(/no-such-role.*It is needed by BillingModule\./),
      expect.stringMatching(/gone.*It is needed by BillingModule, ReportsModule\./),
    ]);
  });
});

it('start: one login, and one request for each secret, all of them in parallel', async () => {
  for (const name of ['a', 'b', 'c', 'd', 'e']) sim.vault.kv().put(name, { value: name });
  for (const name of ['one', 'two', 'three']) sim.vault.databaseRole(name);
  @Injectable()
  class Host {
    @InjectSecret('a') readonly a!: Secret;
    @InjectSecret('a', { schema: z.object({ value: z.string() }) }) readonly parsed!: Secret;
    @InjectSecret('b', { watch: true }) readonly b$!: Observable<Secret>;
    @InjectSecret('c', { key: 'value' }) readonly c!: Secret;
    @Optional() @InjectSecret('d') readonly d?: Secret;
    @InjectSecret('e', { version: 1 }) readonly e!: Secret;
    @InjectCredentials('one') readonly one$!: Observable<DatabaseCredentials>;
    @InjectCredentials('two') readonly two$!: Observable<DatabaseCredentials>;
    @InjectCredentials('three') readonly three$!: Observable<DatabaseCredentials>;
  }
  // Each answer takes a second: those of secrets that were requested one after the other would come later.
  sim.vault.delay(1_000);
  await sim.clock.until(sim.start({ providers: [Host] }));
  expect(sim.vault.count(/login/)).toBe(1);
  expect(sim.reads).toHaveLength(8);
  const [login, ...others] = sim.vault.history.map(({ at }) => at);
  expect(others.map((at) => at - (login as number))).toEqual(others.map(() => 1_000));
});
