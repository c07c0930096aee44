import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { getCredentialsToken, getSecretToken, Secret, VaultError } from '../../lib/index.js';

describe('injection tokens', () => {
  it('different secrets have different tokens, for any parts', () => {
    const tokens = [
      getSecretToken('payments', { key: 'apiKey', version: 3 }),
      getSecretToken('payments@3', { key: 'apiKey' }),
      getSecretToken('payments', { key: 'apiKey' }),
      getSecretToken('payments#apiKey'),
      getSecretToken('payments%23apiKey'),
      getSecretToken('payments@3#apiKey'),
      getSecretToken('payments', { version: 3 }),
      getSecretToken('payments', { key: '@3' }),
      getSecretToken('team/app', { mount: 'kv' }),
      getSecretToken('app', { mount: 'kv/team' }),
      getSecretToken('app', { mount: 'team', connection: 'kv' }),
      getSecretToken('app', { mount: 'c', connection: 'a:b' }),
      getSecretToken('app', { mount: 'b:c', connection: 'a' }),
      getSecretToken('app', { key: '\ud800' }),
      getSecretToken('app', { key: '' }),
      getSecretToken('app'),
      getCredentialsToken('app', { mount: 'b', connection: 'a' }),
      getCredentialsToken('app', { mount: 'a/b' }),
      getCredentialsToken('app', { mount: 'b', connection: 'a/b' }),
      getCredentialsToken({ path: 'a/b/creds/app' }),
      getCredentialsToken({ path: 'b/creds/app' }, { connection: 'a' }),
    ];
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('the same secret has the same token, with defaults given or left out', () => {
    expect(getSecretToken('app', { mount: 'secret', connection: 'default' })).toBe(getSecretToken('app'));
  });

  it('parameters are compared as they are sent, and no hash of them can be computed elsewhere', () => {
    const tokenOf = (parameters: Record<string, unknown>) =>
      getCredentialsToken({ path: 'pki/x', parameters });
    const token = tokenOf({ a: { x: 1, y: [{ p: 1, q: 2 }] }, b: 2 });
    expect(tokenOf({ b: 2, c: undefined, a: { y: [{ q: 2, p: 1 }], x: 1 } })).toBe(token);
    for (const other of [{ b: 2 }, { a: { x: 1, y: [{ p: 2, q: 1 }] }, b: 2 }])
      expect(tokenOf(other)).not.toBe(token);
    expect(tokenOf({ b: null })).not.toBe(tokenOf({}));
    expect(tokenOf({ __proto__: null, a: 1 })).toBe(tokenOf({ a: 1 }));
    for (const refused of [1n, new Secret('canary'), Number.NaN, () => 1]) {
      const code = { code: 'VAULT_REQUEST_INVALID' };
      expect(() => tokenOf({ a: refused })).toThrow(expect.objectContaining(code));
    }
    const plain = createHash('sha256').update('{"a":"1"}').digest('base64url').slice(0, 8);
    const old = createHash('sha256').update('[["a","1"]]').digest('base64url').slice(0, 8);
    expect(tokenOf({ a: '1' })).not.toContain(plain);
    expect(tokenOf({ a: '1' })).not.toContain(old);
  });

  it('a version that is a number in one place and a string in another is refused', () => {
    getSecretToken('typed', { version: 3 });
    const refused = () => getSecretToken('typed', { version: '3' as unknown as number });
    expect(refused).toThrow(expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }));
    expect(refused).toThrow(VaultError);
  });
});
