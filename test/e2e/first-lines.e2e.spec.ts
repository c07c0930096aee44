import { Injectable } from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  appRole,
  InjectCredentials,
  token,
  VaultError,
  VaultModule,
  type AuthMethod,
  type StartupOptions,
} from 'nestjs-vault';
import { SimulatedVault, VaultTestingModule, VirtualClock } from 'nestjs-vault/testing';
import type { Observable } from 'rxjs';
import { beforeEach, describe, expect, it } from 'vitest';
import { failureOf } from '../support/leaks.js';

@Injectable()
class Orders {
  constructor(@InjectCredentials('orders') readonly credentials$: Observable<unknown>) {}
}

describe('the first lines of the log', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let lines: string[];
  let auth: AuthMethod;

  beforeEach(() => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    vault.databaseRole('orders', { defaultTtl: '1h' });
    const { roleId, secretId } = vault.appRole('orders');
    auth = appRole({ roleId, secretId: secretId() });
    lines = [];
  });

  const note = (level: string) => (line: unknown) => void lines.push(`${level}: ${String(line)}`);
  const start = (startup: StartupOptions = {}): Promise<TestingModule> =>
    Test.createTestingModule({
      imports: [
        VaultTestingModule.forRoot({ vault }),
        VaultModule.forRoot({ address: 'https://vault.internal:8200', auth, startup }),
      ],
      providers: [Orders],
    })
      .setLogger({ log: note('log'), warn: note('warn'), error: note('error') })
      .compile();
  const own = () => lines.filter((line) => line.includes('[default]'));

  it('report a token and a user, and their ends', async () => {
    const app = await start();
    await clock.until(app.close());
    const date = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`;
    const life = `until ${date}, next renewal at ${date}`;
    expect(own()).toEqual([
      expect.stringMatching(`^log: .default. logged in \\(start\\), token 1 ${life}$`),
      expect.stringMatching(`^log: .default. database/creds/orders: issued, lease 1 ${life}$`),
      'log: [default] token 1 revoked, with all its leases',
    ]);
  });

  it('report a given token without expiry', async () => {
    auth = token(vault.token({ policies: ['root'] }));
    const app = await start();
    await clock.until(app.close());
    expect(own()).toContain('log: [default] logged in (start), token 1 without expiry');
    expect(own().join()).toMatch(/token 1 is not revoked: it was given to this application/);
    expect(own().join()).not.toContain('for ever');
  });

  it('leave a failed login to Nest, which logs the error of the start', async () => {
    auth = appRole({ roleId: 'wrong', secretId: 'wrong' });
    const error = await failureOf(start());
    expect(error.message).not.toContain('gave up');
    expect(error.message).toMatch(/^The server refuses/);
    expect(own()).toEqual([]);
  });

  it('report after the start when the next attempt is', async () => {
    const { roleId, secretId } = vault.appRole('short', { tokenTtl: 60, tokenMaxTtl: 60 });
    auth = appRole({ roleId, secretId: secretId() });
    const app = await start();
    vault.answer(500, { errors: ['internal error'] }, { match: /login/ });
    await clock.advance(59_000);
    expect(own().join()).toMatch(/warn: .default. login-failed, next attempt \d{4}-/);
    await clock.until(app.close());
  });

  it('the error gives the time for which a start was tried', async () => {
    vault.seal();
    const error = await failureOf(clock.until(start({ timeout: 5_000 })));
    expect(error).toMatchObject({ code: 'VAULT_SEALED', status: 503 });
    expect(error.message).toMatch(
      /^The server is sealed\. The start gave up after 5 s \(`startup.timeout`\)\. \[VAULT_SEALED\] Unseal it/,
    );
  });

  it('report early, for a test runner, the reason why a start waits', async () => {
    // The test does not advance the clock, just as no server answers in the network of a test.
    vault.delay(60_000);
    const began = performance.now();
    const failed = failureOf(start());
    await expect.poll(own, { timeout: 4_000, interval: 50 }).toHaveLength(1);
    expect(performance.now() - began).toBeLessThan(4_000);
    expect(own()).toEqual([
      expect.stringMatching(
        /^error: .default. The application has not started.*no answer of https:.*clock.until/,
      ),
    ]);
    expect((await clock.until(failed)).code).toBe('VAULT_TIMEOUT');
  });

  it('report early, for a test runner, the last failure of a server that answers', async () => {
    // The set-up of the database was forgotten: its group role does not exist.
    const missing = Object.assign(new Error('role "orders_app" does not exist'), {
      severity: 'ERROR',
      code: '42704',
    });
    vault = new SimulatedVault({ clock, sql: () => Promise.reject(missing) });
    vault.databaseRole('orders', { creationStatements: ['CREATE ROLE "{{name}}" IN ROLE orders_app'] });
    const { roleId, secretId } = vault.appRole('orders');
    auth = appRole({ roleId, secretId: secretId() });
    const failed = failureOf(start());
    const slow = () => own().filter((line) => line.includes('has not started'));
    await expect
      .poll(slow, { timeout: 4_000, interval: 50 })
      .toEqual([
        expect.stringMatching(
          /SQLSTATE 42704: a role or a type of the statement does not exist\)\. \[VAULT_BACKEND_FAILED\] .*Create the group role.*clock\.until\(Test\.createTestingModule\(…\)\.compile\(\)\)/,
        ),
      ]);
    expect(slow().join()).not.toMatch(/no answer|orders_app/);
    const error = await clock.until(failed);
    expect(error).toMatchObject({ code: 'VAULT_BACKEND_FAILED', status: 500 });
    expect(error.message).toContain('SQLSTATE 42704');
  });
});

describe('called without required arguments', () => {
  it.each([
    ['forRoot', undefined, /its options are missing/],
    ['forRoot', null, /its options are missing/],
    ['forRootAsync', undefined, /its options are missing/],
    ['forRootAsync', {}, /needs `useFactory`, `useClass` or `useExisting`/],
    ['forFeature', undefined, /needs an object with `credentials` or `secrets`/],
    ['forFeature', { credential: ['x'] }, /`forFeature` has no option `credential`/],
  ] as const)('VaultModule.%s(%o)', (method, options, message) => {
    const call = () => VaultModule[method](options as never);
    expect(call).toThrow(VaultError);
    expect(call).toThrow(message);
  });
});
