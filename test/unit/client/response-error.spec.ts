import { expect, it } from 'vitest';
import type { FailedResponse } from '../../../lib/client/failed-response.js';
import { fromResponse } from '../../../lib/client/response-error.js';
import { explainRefusal } from '../../../lib/auth/app-role-refusals.js';
import { pathRules } from '../../../lib/engines/path-rules.js';
import { expectNoLeak } from '../../support/leaks.js';

const at = 'database/creds/app';
const CANARY = 'canary-0a9b8c7d';

function judge(status: number, messages: string | readonly string[], more: Partial<FailedResponse> = {}) {
  const list = typeof messages === 'string' ? [messages] : messages;
  const explain: FailedResponse['explain'] = (refusal) =>
    explainRefusal(refusal) ?? pathRules.explain(refusal);
  return fromResponse({ status, messages: list, json: true, method: 'GET', path: at, explain, ...more });
}

// Answers of the servers in their own words, recorded from both.
it.each<[number, string | string[], string]>([
  [400, 'invalid role or secret ID', 'VAULT_LOGIN_INPUT_INVALID'],
  // Vault 1.14.0 says these two; releases since the end of 2023 say neither.
  [400, 'invalid role ID', 'VAULT_LOGIN_INPUT_INVALID'],
  [500, 'invalid secret id', 'VAULT_LOGIN_INPUT_INVALID'],
  [400, 'failed to validate SecretID: secret ID is expired', 'VAULT_LOGIN_INPUT_INVALID'],
  [400, 'invalid secret id', 'VAULT_LOGIN_INPUT_INVALID'],
  [400, 'missing secret_id', 'VAULT_LOGIN_INPUT_INVALID'],
  [
    400,
    'source address "127.0.0.1" unauthorized by CIDR restrictions on the role: %!w(<nil>)',
    'VAULT_LOGIN_DENIED',
  ],
  [400, 'wrapping token is not valid or does not exist', 'VAULT_WRAPPING_TOKEN_INVALID'],
  [400, 'unknown role: ghost', 'VAULT_ROLE_NOT_FOUND'],
  [400, 'lease not found', 'VAULT_LEASE_NOT_FOUND'],
  [400, 'lease expired', 'VAULT_LEASE_NOT_FOUND'],
  [400, 'invalid lease', 'VAULT_LEASE_NOT_FOUND'],
  [
    400,
    'failed to renew entry: resp: (*logical.Response)(nil) err: past the max TTL, cannot renew',
    'VAULT_LEASE_AT_MAX_TTL',
  ],
  [400, 'lease is not renewable', 'VAULT_LEASE_NOT_RENEWABLE'],
  [400, 'batch tokens cannot be renewed', 'VAULT_LEASE_NOT_RENEWABLE'],
  [
    400,
    'failed to renew entry: resp: (*logical.Response)(nil) err: failed to connect: dial tcp: refused',
    'VAULT_BACKEND_FAILED',
  ],
  [400, 'no data provided', 'VAULT_REQUEST_INVALID'],
  [405, '1 error occurred:\n\t* unsupported operation\n\n', 'VAULT_REQUEST_INVALID'],
  [403, 'permission denied', 'VAULT_TOKEN_INVALID'],
  [403, '2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n', 'VAULT_TOKEN_INVALID'],
  [403, '1 error occurred:\n\t* permission denied\n\n', 'VAULT_PERMISSION_DENIED'],
  [404, [], 'VAULT_SECRET_NOT_FOUND'],
  [404, 'namespace not found', 'VAULT_NAMESPACE_NOT_FOUND'],
  [404, 'no handler for route "nomount/x". route entry not found.', 'VAULT_MOUNT_NOT_FOUND'],
  [404, 'Invalid path for a versioned K/V secrets engine. See the API docs', 'VAULT_CONFIG_INVALID'],
  [412, 'required index state not present', 'VAULT_STANDBY'],
  [400, 'check-and-set parameter did not match the current version', 'VAULT_CAS_CONFLICT'],
  [400, 'metadata check-and-set parameter does not match the current version', 'VAULT_CAS_CONFLICT'],
  [
    415,
    'PATCH requires Content-Type of application/merge-patch+json, provided application/json',
    'VAULT_REQUEST_INVALID',
  ],
  [413, 'http: request body too large', 'VAULT_REQUEST_INVALID'],
  [429, 'request path "kv1/zz": rate limit quota exceeded', 'VAULT_RATE_LIMITED'],
  [400, ['path disabled in replication DR secondary mode'], 'VAULT_STANDBY'],
  [500, 'local node not active but active cluster node not found', 'VAULT_STANDBY'],
  [500, 'failed to find entry for connection with name: "pg"', 'VAULT_BACKEND_FAILED'],
  [500, '1 error occurred:\n\t* "app" is not an allowed role\n\n', 'VAULT_BACKEND_FAILED'],
  [500, 'dial tcp 127.0.0.1:5999: connect: connection refused', 'VAULT_BACKEND_FAILED'],
  // Of Vault 1.14.0, where the method does not explain it.
  [500, 'invalid username or password', 'VAULT_REQUEST_INVALID'],
  [500, 'something of its own', 'VAULT_SERVER_ERROR'],
  [503, 'Vault is sealed', 'VAULT_SEALED'],
  [503, [], 'VAULT_STANDBY'],
  [418, [], 'VAULT_SERVER_ERROR'],
])('%i %j is %s', (status, messages, code) => {
  const error = judge(status, messages);
  expect(error).toMatchObject({ code, status, path: at });
  expect(error.hint.length).toBeGreaterThan(15);
});

// Of the data of KV, of its metadata, and of a policy.
it.each(['did not match the current version', 'does not match the current version'])(
  'a conflict names the path only: %s',
  (words) => {
    const { message } = judge(400, [`metadata check-and-set parameter ${words}`]);
    expect(message).toContain(`${at} was changed meanwhile`);
    expect(message).not.toMatch(/secret at|`cas`/);
  },
);

// Words of both servers.
it.each<[string, RegExp]>([
  ['check-and-set parameter required for this call', /`options: \{ cas \}`/],
  ['metadata check-and-set parameter required for this call', /VaultClient.*`metadata_cas`/],
  ['error parsing check-and-set parameter', /`cas` as a number/],
  ['PATCH requires Content-Type of application/merge-patch+json, provided x', /`content-type`/],
  ['common name evil.org not allowed by this role', /allowed_domains/],
  ['subject alternate name evil.org not allowed by this role', /allowed_domains/],
  ['URI Subject Alternative Names are not allowed in this role, but were provided', /allowed_\*_sans/],
  ['root is not a valid value for valid_principals', /allowed_users/],
  [
    'Field validation failed: error converting input for field "ttl": time: invalid duration "abc"',
    /TTL.*"15m"/,
  ],
  ['error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative', /TTL.*above 0/],
  ['ttl must be positive', /TTL.*above 0/],
  ['ttl is larger than maximum allowed 3600', /within the max TTL/],
  [
    'cannot satisfy request, as TTL would result in notAfter of 2026 that is beyond the expiration',
    /authority/,
  ],
])('400 %j: the hint says which parameter is wrong', (message, hint) => {
  const error = judge(400, message, { method: 'POST' });
  expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID' });
  expect(error.hint).toMatch(hint);
  expectNoLeak(error, ['evil.org']);
});

it('no error announces a retry, as that depends on the caller', () => {
  const texts = [
    'lease not found',
    'lease is not renewable',
    'past the max TTL',
    'token had one use left',
    'dial',
    'x',
  ];
  for (const status of [400, 403, 404, 412, 415, 429, 472, 500, 503])
    for (const text of texts) expect(judge(status, text).hint).not.toMatch(/by itself|tried again/);
});

it.each([472, 473])('C12: %i is the state of a standby, and reported as such', (status) => {
  const error = judge(status, []);
  expect(error).toMatchObject({ code: 'VAULT_STANDBY', status, path: at });
  expect(error.hint.length).toBeGreaterThan(15);
});

it.each([200, 400, 403, 404, 429, 500, 502, 503])(
  'an answer that is not JSON does not come from Vault, with status %i',
  (status) => {
    const error = judge(status, [], { json: false });
    expect(error).toMatchObject({ code: 'VAULT_NOT_VAULT', status });
    expect(error.hint).toContain('`address`');
  },
);

it('a 403 without reasons does not come from Vault, which would name an invalid token', () => {
  expect(judge(403, [])).toMatchObject({ code: 'VAULT_NOT_VAULT', status: 403 });
});

it.each([
  ['GET', 'read'],
  ['LIST', 'list'],
  ['POST', 'create", "update'],
  ['PUT', 'create", "update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
])('a refused %s names the capability %s and the path', (method, capability) => {
  const error = judge(403, '1 error occurred:\n\t* permission denied\n\n', { method });
  expect(error.message).toContain(`${capability.replace('", "', ' or ')} at ${at}`);
  expect(error.hint).toContain(`path "${at}" { capabilities = ["${capability}"] }`);
});

it('writes the path of a policy as in policies, not encoded', () => {
  const path = "secret/data/o'brien%20%26%20s%C3%B6hne";
  const error = judge(403, '1 error occurred:\n\t* permission denied\n\n', { path });
  expect(error.hint).toContain(`path "secret/data/o'brien & söhne"`);
});

it.each<[number, string]>([
  [400, 'invalid role or secret ID'],
  [400, 'wrapping token is not valid or does not exist'],
  [403, 'permission denied'],
  [403, '1 error occurred:\n\t* permission denied\n\n'],
])('%i %j: the hint mentions clocks that differ, and only those', (status, message) => {
  expect(judge(status, message, { clockSkew: 600_000 }).hint).toMatch(/CLOCK: .*600 s ahead of/);
  expect(judge(status, message, { clockSkew: -600_000 }).hint).toMatch(/CLOCK: .*600 s behind/);
  for (const clockSkew of [undefined, 0, 29_000, -29_000]) {
    expect(judge(status, message, { ...(clockSkew !== undefined && { clockSkew }) }).hint).not.toContain(
      'CLOCK',
    );
  }
});

it('names the namespace if the token may belong to another', () => {
  expect(judge(403, 'permission denied', { namespace: 'team/app' }).hint).toContain('"team/app"');
  expect(judge(404, 'namespace not found', { namespace: 'team/app' }).message).toContain('"team/app"');
});

it("K6: shows nothing of the server's own words: they can contain host names and inputs", () => {
  for (const status of [400, 403, 404, 405, 412, 413, 429, 472, 500, 502, 503]) {
    for (const json of [true, false]) expectNoLeak(judge(status, `x ${CANARY} y`, { json }), [CANARY]);
  }
});

it('keeps the value of Retry-After', () => {
  expect(judge(429, '', { retryAfter: 7_000 }).retryAfter).toBe(7_000);
});

// Recorded: a lease whose user owns an object, or was dropped by hand.
it.each([
  [
    'sys/leases/revoke',
    `failed to revoke entry: resp: (*logical.Response)(nil) err: ERROR: role "${CANARY}" cannot be dropped because some objects depend on it (SQLSTATE 2BP01)`,
    /^The system behind the secrets engine did not revoke the lease \(SQLSTATE 2BP01: rights or objects depend on the user\)\..*DROP OWNED BY/,
  ],
  [
    'sys/leases/renew',
    `failed to renew entry: resp: (*logical.Response)(nil) err: 1 error occurred:\n\t* ERROR: role "${CANARY}" does not exist (SQLSTATE 42704)\n\n`,
    /did not renew the lease \(SQLSTATE 42704/,
  ],
  [
    'sys/leases/revoke',
    `failed to revoke entry: resp: (*logical.Response)(nil) err: Error 1227 (42000): ${CANARY}`,
    /did not revoke the lease\..*The log of the server has the reason/,
  ],
  [
    'sys/leases/renew',
    'failed to renew entry: resp: (*logical.Response)(nil) err: failed to connect: dial tcp: refused',
    /did not answer the server/,
  ],
])('a refusal of the system behind the engine at %s is no outage: %s', (path, said, message) => {
  const error = judge(400, said, { path, method: 'POST' });
  expect(error.code).toBe('VAULT_BACKEND_FAILED');
  expect(error.message).toMatch(message);
  expectNoLeak(error, [CANARY]);
});

it('a refusal that concerns the lease itself keeps its meaning', () => {
  const words = 'failed to renew entry: resp: (*logical.Response)(nil) err: lease is not renewable';
  expect(judge(400, words, { path: 'sys/leases/renew' }).code).toBe('VAULT_LEASE_NOT_RENEWABLE');
});
