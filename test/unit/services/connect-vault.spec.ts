import { firstValueFrom, take, toArray } from 'rxjs';
import * as root from 'nestjs-vault';
import * as core from 'nestjs-vault/core';
import {
  appRole,
  connectVault,
  token,
  withVault,
  type ConnectOptions,
  type Vault,
  type VaultLogLine,
} from 'nestjs-vault/core';
import { SimulatedVault } from 'nestjs-vault/testing';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { failureOf, expectNoLeak } from '../../support/leaks.js';

const KEY = 'canary-of-the-key';
let vault: SimulatedVault;
let options: ConnectOptions;
let secretId: string;

beforeEach(async () => {
  vault = new SimulatedVault();
  vault.databaseRole('orders', { defaultTtl: '1h', maxTtl: '4h' });
  vault.kv().put('orders/api', { key: KEY });
  const role = vault.appRole('orders');
  secretId = role.secretId();
  options = {
    address: await vault.listen(),
    auth: appRole({ roleId: role.roleId, secretId }),
    logger: false,
  };
});
afterEach(() => vault.close());

/** Nothing but the root token is left at the server. */
const expectNothingLeft = () => {
  expect(vault.liveUsers).toEqual([]);
  expect(vault.tokenCount).toBe(1);
};

it('reads, issues and ends everything with close()', async () => {
  const connected = await connectVault(options);
  const { username } = await connected.credentials.getDatabase('orders');
  expect(vault.liveUsers).toEqual([username.reveal()]);
  // The stream shares the lease with the promise.
  const same = await firstValueFrom(connected.credentials.database('orders'));
  expect(same.username.reveal()).toBe(username.reveal());
  const { data } = await connected.kv.read<{ key: string }>('orders/api');
  expect(data.reveal().key).toBe(KEY);
  expect((await connected.client.read('auth/token/lookup-self')).status).toBe(200);
  await connected.close();
  expectNothingLeft();
  expect(await failureOf(connected.credentials.getDatabase('orders'))).toMatchObject({
    code: 'VAULT_CLOSED',
  });
  // A second call waits for the same end.
  await connected.close();
});

it('`await using` ends it', async () => {
  {
    await using connected = await connectVault(options);
    await connected.credentials.getDatabase('orders');
  }
  expectNothingLeft();
});

it('two connections are independent, and the name of one need not be repeated', async () => {
  const [first, second] = await Promise.all([
    connectVault(options),
    connectVault({ ...options, name: 'reports' }),
  ]);
  const [one, two] = await Promise.all([
    first.credentials.getDatabase('orders'),
    second.credentials.getDatabase('orders'),
  ]);
  expect(vault.liveUsers).toHaveLength(2);
  expect(
    await failureOf(second.credentials.get('database/creds/orders', { connection: 'other' })),
  ).toMatchObject({
    code: 'VAULT_CONNECTION_UNKNOWN',
  });
  await first.close();
  expect(vault.isValid(one.username.reveal(), one.password.reveal())).toBe(false);
  expect(vault.isValid(two.username.reveal(), two.password.reveal())).toBe(true);
  expect(second.credentials.current('database/creds/orders')).toBeDefined();
  const { connections } = await firstValueFrom(second.credentials.status$);
  expect(connections.map(({ name }) => name)).toEqual(['reports']);
  await second.close();
  expectNothingLeft();
});

it('with `deferred` the first use logs in', async () => {
  const connected = await connectVault({ ...options, startup: { login: 'deferred' } });
  expect(vault.history).toEqual([]);
  await connected.kv.read('orders/api');
  expect(vault.count(/approle\/login/)).toBe(1);
  await connected.close();
  expectNothingLeft();
});

it.each([
  ['a rejection', () => Promise.reject(new Error('the work fails'))],
  [
    'an error before the first await',
    () => {
      throw new Error('the work fails');
    },
  ],
])('withVault ends everything after %s', async (_, fail) => {
  let inside: Vault | undefined;
  const working = withVault(options, async (connected) => {
    inside = connected;
    await connected.credentials.getDatabase('orders');
    return fail();
  });
  await expect(working).rejects.toThrow('the work fails');
  expectNothingLeft();
  expect(await failureOf((inside as Vault).kv.read('orders/api'))).toMatchObject({ code: 'VAULT_CLOSED' });
});

it('withVault returns the result of the work, and completes the streams', async () => {
  let users: Promise<unknown[]> | undefined;
  const result = await withVault(options, async ({ credentials }) => {
    users = firstValueFrom(credentials.database('orders').pipe(take(2), toArray()));
    return (await credentials.getDatabase('orders')).username.reveal();
  });
  expect(result).toMatch(/^v-/);
  expect(await users).toHaveLength(1);
  expectNothingLeft();
});

it('a login that fails rejects with its error, and leaves nothing behind', async () => {
  const before = process.eventNames().map((event) => process.listenerCount(event));
  const auth = appRole({ roleId: 'wrong', secretId: 'canary-of-the-secret' });
  const work = vi.fn(() => Promise.resolve());
  const error = await failureOf(withVault({ ...options, auth }, work));
  expect(error).toMatchObject({ code: 'VAULT_LOGIN_INPUT_INVALID' });
  expectNoLeak(error, ['canary-of-the-secret']);
  expect(work).not.toHaveBeenCalled();
  expectNothingLeft();
  expect(process.eventNames().map((event) => process.listenerCount(event))).toEqual(before);
});

it('a server that cannot be reached is tried for `startup.timeout`', async () => {
  await vault.close();
  const error = await failureOf(connectVault({ ...options, startup: { timeout: 0 } }));
  expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE' });
  expect(error.message).toContain('`startup.timeout`');
});

it.each([
  [undefined, undefined, ['`address`', '`auth`']],
  [{ adress: 'https://vault.internal' }, undefined, ['`address`', 'no option `adress`']],
  [{}, { endAtExit: true, atExit: true }, ['`connectVault` has no option `atExit`']],
  [{ logger: {} }, undefined, ['`logger` must have the methods `error` and `warn`']],
  [{ name: '' }, undefined, ['`name`']],
])('options %j, %j are refused', async (given, extras, problems) => {
  const valid = given && !('adress' in given) ? { ...options, ...given } : given;
  const error = await failureOf(connectVault(valid as ConnectOptions, extras));
  expect(error.code).toBe('VAULT_CONFIG_INVALID');
  for (const problem of problems) expect(error.message).toContain(problem);
});

it('the logger gets lines of the connection, without secrets', async () => {
  const lines: string[] = [];
  const keep = (level: string) => (line: VaultLogLine) =>
    void lines.push(`${level} ${line.code} ${line.message}`);
  const logger = { error: keep('error'), warn: keep('warn'), log: keep('log') };
  await withVault({ ...options, name: 'job', logger }, async ({ credentials }) => {
    await credentials.getDatabase('orders');
    vault.revokeAllTokens();
    await failureOf(credentials.get('database/creds/nothing'));
  });
  expect(lines[0]).toMatch(/^warn simulated-server \[job\] http:\/\/127\.0\.0\.1:\d+ is a simulated server/);
  expect(lines.filter((line) => line.includes('simulated-server'))).toHaveLength(1);
  expect(lines[1]).toMatch(/^log login \[job\] logged in \(start\), token 1/);
  expect(lines.some((line) => line.startsWith('log issued [job] database/creds/orders: issued'))).toBe(true);
  expectNoLeak(lines, [KEY, secretId]);
});

it('without a logger, warnings and errors alone go to standard error', async () => {
  const warn = vi.spyOn(console, 'warn').mockReturnValue();
  const log = vi.spyOn(console, 'log').mockReturnValue();
  try {
    vault.cut();
    const { logger: _, ...rest } = options;
    await withVault({ ...rest, retry: { initialDelay: 1 } }, () => Promise.resolve());
    expect(warn.mock.calls.flat().join('\n')).toMatch(/^\[default\] .*unreachable/m);
    expect(log).not.toHaveBeenCalled();
  } finally {
    warn.mockRestore();
    log.mockRestore();
  }
});

it('a given token is used, and not revoked', async () => {
  const given = vault.token();
  const tokens = vault.tokenCount;
  await withVault({ ...options, auth: token(given) }, ({ kv }) => kv.read('orders/api'));
  expect(vault.tokenCount).toBe(tokens);
});

it('has the exports of the module, but for those that need Nest', () => {
  const names = (exported: object) => Object.keys(exported).toSorted((one, other) => (one < other ? -1 : 1));
  const { connectVault: _, withVault: __, ...shared } = core;
  const ofNest = [
    'InjectCredentials',
    'InjectSecret',
    'InjectVault',
    'OnRotation',
    'VAULT_MODULE_OPTIONS',
    'VaultModule',
    'getCredentialsToken',
    'getSecretToken',
    'getVaultToken',
    'vaultConfig',
  ];
  const all: Readonly<Record<string, unknown>> = root;
  expect(ofNest.map((name) => all[name])).not.toContain(undefined);
  expect(names(shared)).toEqual(names(root).filter((name) => !ofNest.includes(name)));
});

it.each<[string, () => Promise<unknown>]>([
  [
    'a getter that throws',
    () =>
      connectVault({
        ...options,
        get headers(): never {
          throw new Error(KEY);
        },
      }),
  ],
  ['a logger of null', () => connectVault({ ...options, logger: null as never })],
  ['an endAtExit that is a text', () => connectVault(options, { endAtExit: 'yes' as never })],
])('%s is a problem with the options', async (_what, connect) => {
  const error = await failureOf(connect());
  expect(error.code).toBe('VAULT_CONFIG_INVALID');
  expectNoLeak(error, [KEY]);
  expectNothingLeft();
});
