import { expect, it } from 'vitest';
import { engineOf } from '../../../lib/engines/engine-of.js';
import type { Answer, Life } from '../../../lib/engines/engine.js';

const NOW = Date.parse('2026-01-01T00:00:00Z');
const IN_A_MINUTE = NOW / 1_000 + 60;

function answerOf(path: string, data: Record<string, unknown>, envelope: Partial<Answer> = {}): Answer {
  const sentAt = { monotonic: 5, wall: NOW };
  const empty = {
    status: 200,
    auth: null,
    leaseId: '',
    leaseDuration: 0,
    renewable: false,
    wellFormed: true,
    cached: false,
    warnings: [],
  };
  return { ...empty, mountType: undefined, sentAt, path, parameters: undefined, data, ...envelope };
}

const rotated = (secondsAgo: number) => new Date(NOW - secondsAgo * 1_000).toISOString();
const minutely = { ttl: 60, rotation_schedule: '* * * * *' };

it.each<[string, string, Record<string, unknown>, string, Life, Partial<Answer>?]>([
  [
    'a leased user',
    'database/creds/app',
    { username: 'u' },
    'leased',
    {},
    { leaseId: 'database/creds/app/x' },
  ],
  ['a static role', 'database/static-creds/app', { ttl: 60 }, 'static-role', { rotatesIn: 60_000 }],
  ['one of LDAP', 'org/ldap/static-cred/a/b', { ttl: 0 }, 'static-role', { rotatesIn: 0 }],
  ['one without a TTL', 'database/static-creds/app', { message: 'maintenance' }, 'static-role', {}],
  [
    'one by a schedule, rotated a while ago',
    'database/static-creds/app',
    { ...minutely, last_vault_rotation: rotated(58) },
    'static-role',
    { rotatesIn: 60_000, confirmIn: 15_000 },
  ],
  [
    'one by a schedule, rotated just now',
    'database/static-creds/app',
    { ...minutely, last_vault_rotation: rotated(2) },
    'static-role',
    { rotatesIn: 60_000 },
  ],
  [
    'a key of AWS',
    'aws/static-creds/app',
    { access_key: 'a', expiration: '2026-01-01T00:01:00Z' },
    'aws-static-keys',
    { rotatesIn: 60_000 },
  ],
  [
    'a key of AWS that is due',
    'aws/static-creds/app',
    { access_key: 'a', expiration: '2025-01-01T00:01:00Z' },
    'aws-static-keys',
    { rotatesIn: 0 },
  ],
  [
    'a certificate',
    'pki/issue/web',
    { certificate: 'a', expiration: IN_A_MINUTE },
    'pki',
    { expiresIn: 60_000 },
  ],
  [
    'a certificate of one issuer',
    'pki/issuer/default/sign-verbatim',
    { certificate: 'a', expiration: IN_A_MINUTE },
    'pki',
    { expiresIn: 60_000 },
  ],
  ['a signed key that cannot be read', 'ssh/sign/ca', { signed_key: 'a' }, 'ssh', {}],
  [
    'an identity token',
    'identity/oidc/token/app',
    { token: 'a', ttl: 60 },
    'identity-token',
    { expiresIn: 60_000 },
  ],
  [
    'one in a namespace',
    'team/identity/oidc/token/app',
    { ttl: 60 },
    'identity-token',
    { expiresIn: 60_000 },
  ],
  [
    'a token of Google Cloud',
    'gcp/roleset/app/token',
    { token: 'a', token_ttl: 60, expires_at_seconds: 1 },
    'gcp-token',
    { expiresIn: 60_000 },
  ],
  [
    'one with its expiry only',
    'gcp/token/app',
    { token: 'a', expires_at_seconds: IN_A_MINUTE },
    'gcp-token',
    { expiresIn: 60_000 },
  ],
  [
    'a secret of KV v1',
    'kv/static-creds/app',
    { ttl: 0, expiration: '2001-01-01T00:00:00Z' },
    'kv',
    {},
    { leaseDuration: 2_764_800 },
  ],
  ['a secret of KV v2', 'kv/data/static-creds/app', { data: { ttl: 0 }, metadata: { version: 1 } }, 'kv', {}],
  ['a cubbyhole', 'cubbyhole/static-creds/app', { ttl: 0 }, 'kv', {}],
  ['KV, as the server says', 'odd/static-creds/app', { ttl: 0 }, 'kv', {}, { mountType: 'kv' }],
  ['PKI, as the server says', 'odd/issue/web', {}, 'pki', {}, { mountType: 'pki' }],
  [
    'another engine, as the server says',
    'odd/issue/web',
    { certificate: 'a' },
    'leased',
    {},
    { mountType: 'own' },
  ],
  ['anything else', 'own/thing', { ttl: 1, expiration: 1, expires_at_seconds: 1 }, 'leased', {}],
])('knows %s', (_, path, data, name, life, envelope) => {
  const answer = answerOf(path, data, envelope);
  const engine = engineOf(answer);
  expect([engine.name, engine.life(answer)]).toEqual([name, life]);
});

it.each([
  ['database/static-creds/app', { ttl: 5, password: 'a' }, { ttl: 4, password: 'a' }, true],
  ['database/static-creds/app', { ttl: 5, password: 'a' }, { ttl: 5, password: 'b' }, false],
  ['gcp/token/app', { token_ttl: 5, expires_at_seconds: 1 }, { token_ttl: 4, expires_at_seconds: 1 }, true],
  ['own/thing', { ttl: 5 }, { ttl: 4 }, false],
])('two answers of %s are equal if only the time left differs', (path, one, other, same) => {
  const engine = engineOf(answerOf(path, one));
  expect(JSON.stringify(engine.comparable(one)) === JSON.stringify(engine.comparable(other))).toBe(same);
});
