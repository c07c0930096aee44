import { expect, it } from 'vitest';
import { appRole } from '../../../lib/auth/app-role.js';
import type { AuthMethod } from '../../../lib/auth/auth-method.js';
import { token } from '../../../lib/auth/token.js';
import type { VaultOptions } from '../../../lib/config/options.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { fromEnv, fromFile, fromWrappedToken } from '../../../lib/secret/secret-source.js';
import { Secret } from '../../../lib/secret/secret.js';
import { expectNoLeak } from '../../support/leaks.js';

const CANARY = 'hvs.canary-5d1c0e77';
const good: VaultOptions = { address: 'https://vault.internal:8200', auth: token(new Secret(CANARY)) };

function refusal(options: unknown, name?: string): VaultError {
  try {
    resolveOptions(options as VaultOptions, name);
  } catch (error) {
    if (error instanceof VaultError) return error;
    throw error;
  }
  throw new Error('accepted');
}

it('fills in every default, and freezes the result', () => {
  const resolved = resolveOptions(good);
  expect(resolved).toEqual({
    name: 'default',
    addresses: ['https://vault.internal:8200'],
    auth: good.auth,
    allowHttp: false,
    timeout: 10_000,
    retry: { initialDelay: 500, maxDelay: 300_000, jitter: 0.5 },
    renewal: { at: 0.66, jitter: 0.05, grace: 30_000, ttl: Infinity },
    startup: { login: 'required', timeout: 10_000 },
    shutdown: { timeout: 5_000, revoke: true, exitTimeout: 3_000 },
    kvVersion: 2,
    engines: [],
    concurrency: 8,
  });
  for (const part of [
    resolved,
    resolved.addresses,
    resolved.retry,
    resolved.renewal,
    resolved.startup,
    resolved.shutdown,
  ]) {
    expect(Object.isFrozen(part)).toBe(true);
  }
});

it('keeps given values, and adds defaults for the others', () => {
  const tls = { serverName: 'vault' };
  const given = {
    ...good,
    namespace: '/team/app/',
    tls,
    allowHttp: true,
    timeout: 1,
    retry: { jitter: 0, maxDelay: undefined },
    renewal: { at: 0.5 },
    startup: { login: 'deferred' as const },
    shutdown: { revoke: false },
    kvVersion: 1 as const,
    concurrency: 1,
  };
  const resolved = resolveOptions(given, 'audit');
  expect(resolved).toMatchObject({
    name: 'audit',
    namespace: 'team/app',
    tls: { material: { serverName: 'vault' }, files: [] },
    allowHttp: true,
    timeout: 1,
    retry: { initialDelay: 500, maxDelay: 300_000, jitter: 0 },
    renewal: { at: 0.5, grace: 30_000 },
    startup: { login: 'deferred', timeout: 10_000 },
    shutdown: { timeout: 5_000, revoke: false, exitTimeout: 3_000 },
    kvVersion: 1,
    concurrency: 1,
  });
  expect(Object.isFrozen(resolved.tls)).toBe(true);
  tls.serverName = 'changed later';
  expect(resolved.tls?.material.serverName).toBe('vault');
});

it.each([
  ['https://vault.internal:8200/', 'https://vault.internal:8200'],
  ['HTTPS://Vault.Internal:443', 'https://vault.internal'],
  ['https://gateway.internal/vault/', 'https://gateway.internal/vault'],
  ['http://[::1]:8200', 'http://[::1]:8200'],
])('address %s becomes %s', (given, address) => {
  expect(resolveOptions({ ...good, address: given }).addresses).toEqual([address]);
});

it('accepts several addresses', () => {
  const address = ['https://a:8200', 'https://b:8200'];
  expect(resolveOptions({ ...good, address }).addresses).toEqual(address);
});

it('names every problem in one message', () => {
  const error = refusal(
    {
      address: [
        'ftp://vault',
        'https://user:pw@vault',
        'https://vault/v1',
        'https://vault?x',
        'https://vault#x',
        7,
      ],
      auth: appRole({ roleId: ' ', secretId: '', mountPath: '../x' }),
      namespace: 'a/../b',
      tls: { cert: 'pem', rejectUnauthorized: false },
      allowHttp: 'yes',
      timeout: 0,
      retry: { initialDelay: -1, maxDelay: NaN, jitter: 2, count: 3 },
      renewal: { at: 1, jitter: 0.5, grace: -1, ttl: 1_000 },
      startup: { login: 'sometimes', timeout: 'long' },
      shutdown: { timeout: 2 ** 31, revoke: 'yes' },
      kvVersion: 3,
      concurrency: 0,
      adress: 'typo',
    },
    'audit',
  );
  expect(error.code).toBe('VAULT_CONFIG_INVALID');
  expect(error.hint).toMatch(/forRoot/);
  for (const named of [
    '"audit"',
    '`address[0]` must be a URL that starts with http:// or https://',
    '`address[1]` must not hold a user name or password',
    '`address[2]` must not end in /v1',
    '`address[3]` must not hold "?" or "#"',
    '`address[4]` must not hold "?" or "#"',
    '`address[5]` must be a string, as "https://vault.internal:8200": found a number',
    'needs a `roleId`',
    'needs a `secretId`',
    'a `mountPath` that is not a path',
    '`namespace` must be names',
    '`tls` has no option `rejectUnauthorized`',
    '`tls.cert` and `tls.key` go together',
    '`tls.cert` is neither a PEM nor the path of a file that can be read (ENOENT)',
    '`allowHttp` must be true or false',
    '`timeout` must be a number from 1',
    '`retry` has no option `count`',
    '`retry.initialDelay`',
    '`retry.maxDelay`',
    '`retry.jitter` must be a number from 0 to 1',
    '`renewal.at` must be a number from 0.1 to 0.9',
    '`renewal.jitter`',
    '`renewal.grace`',
    '`renewal.ttl`',
    '`startup.login`',
    '`startup.timeout`',
    '`shutdown.timeout`',
    '`shutdown.revoke`',
    '`kvVersion` must be 1 or 2',
    '`concurrency`',
    'no option `adress`',
  ]) {
    expect(error.message).toContain(named);
  }
});

it.each<[string, unknown, RegExp]>([
  ['no options', undefined, /the options are missing.*`auth` must be.*`address` is missing/],
  ['null', null, /the options are missing/],
  ['no address', { ...good, address: undefined }, /`address` is missing/],
  ['an empty address', { ...good, address: '' }, /`address` is missing/],
  ['no addresses', { ...good, address: [] }, /`address` is missing/],
  ['an address without a scheme', { ...good, address: 'vault.internal:8200' }, /starts with http/],
  ['an auth method of another package', { ...good, auth: { roleId: 'x' } }, /`auth` must be an auth method/],
  ['invalid groups', { ...good, retry: 3, tls: true }, /`retry` must be an object.*`tls` must be an object/],
  ['TLS without TLS', { ...good, address: 'http://vault', tls: { ca: 'x' } }, /starts with http:\/\//],
  [
    'TLS over a socket',
    { ...good, address: 'unix:///run/a', tls: { serverName: 'x' } },
    /every `address` starts with unix/,
  ],
  ['a namespace with a line break', { ...good, namespace: 'team\nx' }, /`namespace` must be names/],
  ['a namespace beyond ASCII', { ...good, namespace: 'équipe' }, /`namespace` must be names/],
  ['a namespace that is not a string', { ...good, namespace: 7 }, /`namespace` must be a string/],
  ['a token without a source', { ...good, auth: token(undefined as never) }, /`auth: token` needs a source/],
  ['an empty token', { ...good, auth: token('') }, /`auth: token` needs a source/],
])('refuses %s', (_what, options, problem) => {
  expect(refusal(options).message).toMatch(problem);
});

it.each<[string, () => AuthMethod, RegExp]>([
  [
    'appRole',
    () => appRole({ roleId: 'r', secretId: 's', roleid: 'x' } as never),
    /`auth: appRole` has no option `roleid`/,
  ],
  ['appRole, without anything', () => appRole(undefined as never), /needs a `roleId`/],
  ['appRole, null', () => appRole(null as never), /needs a `roleId`/],
  [
    'a secretId that is undefined',
    () => appRole({ roleId: 'r', secretId: undefined } as never),
    /`auth: appRole` has a `secretId` that is undefined: leave it out/,
  ],
  [
    'an invalid namespace',
    () => appRole({ roleId: 'r', namespace: 5 } as never),
    /a `namespace` that is not a string/,
  ],
  ['token, without anything', () => token(undefined as never), /`auth: token` needs a source/],
  [
    'fromFile',
    () => token(fromFile('/run/x', { deleteAfteRead: true } as never)),
    /`fromFile` has no option `deleteAfteRead`/,
  ],
  ['fromFile, without anything', () => token(fromFile(undefined as never)), /`fromFile` needs the path/],
  ['fromFile, null', () => token(fromFile('/run/x', null as never)), /`fromFile` takes an object/],
  [
    'fromEnv',
    () => appRole({ roleId: 'r', secretId: fromEnv('X', { delete: true } as never) }),
    /`fromEnv` has no option `delete`/,
  ],
  ['fromEnv, without anything', () => token(fromEnv(undefined as never)), /`fromEnv` needs the name/],
  [
    'fromWrappedToken',
    () => token(fromWrappedToken('w', { path: 'x' } as never)),
    /`fromWrappedToken` has no option `path`/,
  ],
  [
    'fromWrappedToken, without anything',
    () => token(fromWrappedToken(undefined as never)),
    /`fromWrappedToken` needs a source/,
  ],
  [
    'a source within a source',
    () => token(fromWrappedToken(fromFile('/run/x', { keep: 1 } as never))),
    /`fromFile` has no option `keep`/,
  ],
])('refuses unknown options of an auth method or a source: %s', (_what, auth, problem) => {
  expect(refusal({ ...good, auth: auth() }).message).toMatch(problem);
});

it('accepts a role that binds no secret_id', () => {
  expect(resolveOptions({ ...good, auth: appRole({ roleId: 'r' }) }).auth.name).toBe('approle');
});

it('prints no refused value: it may be a secret in the wrong place', () => {
  const options = {
    address: CANARY,
    namespace: `${CANARY} `.repeat(2),
    auth: CANARY,
    timeout: CANARY,
    tls: CANARY,
    retry: { jitter: CANARY },
    renewal: CANARY,
    startup: { login: CANARY },
    shutdown: { revoke: CANARY, timeout: { CANARY } },
    kvVersion: CANARY,
    concurrency: [CANARY],
  };
  expectNoLeak(refusal(options), [CANARY]);
  const roles = { roleId: 7, secretId: '', mountPath: `../${CANARY}` } as never;
  expectNoLeak(refusal({ ...good, auth: appRole(roles) }), [CANARY]);
  expectNoLeak(refusal({ ...good, address: `https://app:${CANARY}@vault` }), [CANARY]);
  expectNoLeak(refusal({ ...good, address: `https://vault/?token=${CANARY}` }), [CANARY]);
  expectNoLeak(resolveOptions(good), [CANARY]);
});

it('reads nothing from the environment', () => {
  const names = ['VAULT_ADDR', 'VAULT_TOKEN', 'VAULT_NAMESPACE', 'VAULT_SKIP_VERIFY', 'VAULT_CACERT'];
  for (const name of names) process.env[name] = 'http://elsewhere';
  try {
    expect(refusal({ auth: good.auth }).message).toContain('`address` is missing');
    expect(resolveOptions({ ...good, auth: token(fromEnv('VAULT_TOKEN')) })).not.toHaveProperty('namespace');
  } finally {
    for (const name of names) delete process.env[name];
  }
});
