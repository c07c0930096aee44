import { describe, expect, it } from 'vitest';
import { getCredentialsToken, getSecretToken, VaultError } from '../../lib/index.js';

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

  it('a version that is a number in one place and a string in another is refused', () => {
    getSecretToken('typed', { version: 3 });
    const refused = () => getSecretToken('typed', { version: '3' as unknown as number });
    expect(refused).toThrow(expect.objectContaining({ code: 'VAULT_CONFIG_INVALID' }));
    expect(refused).toThrow(VaultError);
  });
});
