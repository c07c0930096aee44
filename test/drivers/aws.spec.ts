import { inspect } from 'node:util';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import type { AwsCredentialIdentityProvider } from '@smithy/types';
import { Readable } from 'node:stream';
import {
  appRole,
  CredentialsService,
  getCredentialsToken,
  Secret,
  VaultModule,
  type Credentials,
} from 'nestjs-vault';
import { rotatingAwsCredentials } from 'nestjs-vault/aws';
import { SimulatedVault } from 'nestjs-vault/testing';
import { BehaviorSubject, EMPTY, NEVER, type Observable } from 'rxjs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Applications } from '../support/applications.js';
import { figure, Load, pause } from '../support/driver-load.js';

interface Signed {
  headers: Record<string, string>;
}

const ANSWER = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::1:user/u</Arn></GetCallerIdentityResult></GetCallerIdentityResponse>`;

/** A client of the SDK whose signed requests end here. */
function client(credentials: AwsCredentialIdentityProvider) {
  const keys: string[] = [];
  const tokens: (string | undefined)[] = [];
  const requestHandler = {
    metadata: { handlerProtocol: 'http/1.1' },
    handle: async ({ headers }: Signed) => {
      keys.push(/Credential=([^/]+)/.exec(headers['authorization'] ?? '')?.[1] ?? 'none');
      tokens.push(headers['x-amz-security-token']);
      return {
        response: {
          statusCode: 200,
          headers: { 'content-type': 'text/xml' },
          body: Readable.from([Buffer.from(ANSWER)]),
        },
      };
    },
  };
  const sts = new STSClient({ region: 'eu-west-1', credentials, requestHandler: requestHandler as never });
  return { keys, tokens, send: () => sts.send(new GetCallerIdentityCommand({})) };
}

/** Keys made by hand, and the numbers of the held ones. */
function keys() {
  const held = new Set<number>();
  const credentials = (n: number, age: number, left = 60_000): Credentials => ({
    data: new Secret({ access_key: `AKIA${n}`, secret_key: 'a', security_token: null }) as Secret<unknown>,
    lease: {
      path: 'aws/creds/app',
      serial: n,
      tokenSequence: 1,
      issuedAt: new Date(Date.now() - age),
      validUntil: new Date(Date.now() + left),
      renewable: true,
      hold: () => {
        held.add(n);
        return () => void held.delete(n);
      },
    },
  });
  return { credentials, held };
}

describe('AWS on a simulated server', () => {
  let vault: SimulatedVault;
  let issued: number;
  const issuedAt = new Map<string, number>();
  const applications = new Applications();

  beforeEach(() => {
    vault = new SimulatedVault();
    issued = 0;
    const data = (token: string | null) => () => {
      const n = ++issued;
      const secret_key = `canary-of-the-secret-key-${n}`;
      applications.guard(secret_key);
      issuedAt.set(`AKIA${n}`, Date.now());
      return { access_key: `AKIA${n}`, secret_key, security_token: token && `${token}-${n}` };
    };
    vault.leasedSecret('aws/creds/app', { ttl: '3s', maxTtl: '6s', data: data(null) });
    vault.leasedSecret('aws/creds/long', { ttl: '1h', maxTtl: '24h', data: data(null) });
    vault.leasedSecret('aws/sts/app', { ttl: '3s', renewable: false, data: data('canary-of-the-token') });
  });
  afterEach(async () => {
    await applications.finish();
    await vault.close();
  });

  async function start(path: string, settle?: number) {
    const address = await vault.listen();
    const { roleId, secretId } = vault.appRole('app');
    const app = await applications.start({
      imports: [VaultModule.forRoot({ address, auth: appRole({ roleId, secretId: secretId() }) })],
      providers: [
        {
          provide: 'STS',
          inject: [getCredentialsToken({ path })],
          useFactory: (credentials$: Observable<Credentials>) =>
            client(rotatingAwsCredentials(credentials$, settle === undefined ? {} : { settle })),
        },
      ],
    });
    return { app, sts: app.get<ReturnType<typeof client>>('STS') };
  }
  it('each request is signed with keys of a valid lease, across rotations', async () => {
    const { app, sts } = await start('aws/creds/app', 0);
    let oldest = 0;
    const load = new Load(async () => {
      await sts.send();
      oldest = Math.max(oldest, Date.now() - (issuedAt.get(sts.keys.at(-1) ?? '') ?? 0));
    });
    // The first two keys had their whole lifetime, whose length depends on the jitter of the renewals.
    await expect.poll(() => new Set(sts.keys).size, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    await load.stop();
    const used = new Set(sts.keys);
    figure(`aws: ${used.size - 1} rotations, ${load.count} requests signed, ${load.failures.length} failed`);
    expect(load.failures).toEqual([]);
    // The max TTL of the lease.
    expect(oldest).toBeLessThan(6_000);
    expect(sts.tokens.every((token) => token === undefined)).toBe(true);
    await app.close();
    expect(vault.liveLeases).toEqual([]);
  }, 30_000);

  it('session tokens are sent along, each with its key, and none past its end', async () => {
    const { app, sts } = await start('aws/sts/app');
    let late = 0;
    const load = new Load(async () => {
      await sts.send();
      // AWS ends them, even if the lease is held.
      if (Date.now() - (issuedAt.get(sts.keys.at(-1) ?? '') ?? 0) > 3_000) late++;
    });
    // The first two were used until they were replaced, before AWS would have ended them.
    await expect.poll(() => new Set(sts.keys).size, { timeout: 15_000 }).toBeGreaterThanOrEqual(3);
    await load.stop();
    expect(load.failures).toEqual([]);
    expect(late).toBe(0);
    // Each key has its own session token.
    expect(sts.tokens).toEqual(sts.keys.map((key) => `canary-of-the-token-${key.slice('AKIA'.length)}`));
    await app.close();
  });

  it('keys that are replaced long before they expire are not used on', async () => {
    const { sts, app } = await start('aws/creds/long', 0);
    await sts.send();
    vault.revokeLease('aws/creds/long');
    const [{ lease }] = [await app.get(CredentialsService).get('aws/creds/long')];
    await lease.reportRejected?.({ confirmed: false });
    await expect.poll(() => app.get(CredentialsService).current('aws/creds/long')?.lease.serial).toBe(2);
    await sts.send();
    expect(sts.keys).toEqual(['AKIA1', 'AKIA2']);
  });

  it('new keys of an IAM user are used once AWS knows them; until then the previous ones, which are held', async () => {
    const { credentials, held } = keys();
    const credentials$ = new BehaviorSubject(credentials(1, 100));
    const provider = rotatingAwsCredentials(credentials$, { settle: 500 });
    const before = Date.now();
    expect(await provider()).toMatchObject({ accessKeyId: 'AKIA1' });
    expect(Date.now() - before).toBeGreaterThanOrEqual(390);
    credentials$.next(credentials(2, 0));
    expect(await provider()).toMatchObject({ accessKeyId: 'AKIA1' });
    expect([...held]).toEqual([1, 2]);
    await pause(550);
    expect(await provider()).toMatchObject({ accessKeyId: 'AKIA2' });
    credentials$.next(credentials(3, 300, 1_000));
    const short = (await provider()).expiration;
    expect(+short - Date.now()).toBeLessThanOrEqual(60_000);
    credentials$.complete();
    expect([...held]).toEqual([]);
  });

  it('keys are held until the next ones have settled and requests signed before have ended', async () => {
    vi.useFakeTimers();
    try {
      const { credentials, held } = keys();
      const credentials$ = new BehaviorSubject(credentials(1, 60_000));
      await rotatingAwsCredentials(credentials$)();
      credentials$.next(credentials(2, 0));
      await vi.advanceTimersByTimeAsync(29_000);
      expect([...held]).toEqual([1, 2]);
      await vi.advanceTimersByTimeAsync(2_000);
      expect([...held]).toEqual([2]);
    } finally {
      vi.useRealTimers();
    }
  });

  it('expiration is the current one of the lease, and at most a minute ahead', async () => {
    const { app } = await start('aws/creds/app');
    const credentials = app.get(CredentialsService);
    const provider = rotatingAwsCredentials(credentials.watch('aws/creds/app'), { settle: 0 });
    const first = await provider();
    const validUntil = credentials.current('aws/creds/app')?.lease.validUntil as Date;
    // Translated between two clocks, which may differ by a millisecond.
    expect(Math.abs(+first.expiration - +validUntil)).toBeLessThanOrEqual(1);
    await pause(2_300);
    const renewed = await provider();
    expect(renewed.accessKeyId).toBe(first.accessKeyId);
    expect(+renewed.expiration).toBeGreaterThan(+first.expiration + 1_000);
    const long = rotatingAwsCredentials(credentials.watch('aws/creds/long'), { settle: 0 });
    expect(+(await long()).expiration - Date.now()).toBeLessThanOrEqual(60_000);
  });

  it('errors name the cause: another secret, a completed stream, no keys in time', async () => {
    vault.leasedSecret('aws/creds/other', { data: () => ({ username: 'x', password: 'canary-of-another' }) });
    const { app } = await start('aws/creds/long');
    const credentials = app.get(CredentialsService);
    const other: unknown = await rotatingAwsCredentials(credentials.watch('aws/creds/other'))().catch(
      (e: unknown) => e,
    );
    expect(other).toMatchObject({ code: 'VAULT_RESPONSE_INVALID', path: 'aws/creds/other' });
    expect(inspect(other)).not.toContain('canary');
    await expect(rotatingAwsCredentials(EMPTY)()).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
    vi.useFakeTimers();
    try {
      const late = expect(rotatingAwsCredentials(NEVER)()).rejects.toMatchObject({
        code: 'VAULT_CREDENTIALS_EXPIRED',
      });
      await vi.advanceTimersByTimeAsync(10_000);
      await late;
    } finally {
      vi.useRealTimers();
    }
  });
});
