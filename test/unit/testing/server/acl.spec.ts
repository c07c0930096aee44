import { SimulatedVault } from 'nestjs-vault/testing';
import { describe, expect, it } from 'vitest';
import { asker } from '../support.js';

describe('policies', () => {
  const granted = async (rules: Parameters<SimulatedVault['policy']>[1], ...paths: string[]) => {
    const vault = new SimulatedVault();
    vault.policy('app', rules);
    const token = vault.token({ policies: ['app'] });
    const { body } = await asker(vault)('POST', 'sys/capabilities-self', { paths }, { token });
    return paths.map((path) => (body.data[path] as string[]).join());
  };

  it('match exactly, by prefix or by segment; the most specific pattern wins', async () => {
    const rules = {
      'a/b': ['read'],
      'a/*': ['list'],
      'a/b*': ['update'],
      'x/+/z': ['read'],
      'x/+/z/*': ['delete'],
      'x/y/*': ['list'],
      'y/+': ['read'],
      'y/*': ['list'],
    } as const;
    const paths = ['a/b', 'a/c', 'a/bc', 'a', 'x/1/z', 'x/1/y', 'x/1/z/2', 'x/y/z', 'y/1', 'y/1/2', 'other'];
    expect(await granted(rules, ...paths)).toEqual([
      'read',
      'list',
      'update',
      'deny',
      'read',
      'deny',
      'delete',
      'list',
      'read',
      'list',
      'deny',
    ]);
  });

  it('are read from HCL with comments, and from JSON', async () => {
    const hcl = `
      # path "a" { capabilities = ["read"] }
      path "b" {
        // a comment
        capabilities = ["read", "list"]
      }
      path "c" { capabilities = ["deny", "read"] }`;
    expect(await granted(hcl, 'a', 'b', 'c')).toEqual(['deny', 'list,read', 'deny']);
    expect(await granted('{"path":{"a":{"capabilities":["sudo"]}}}', 'a')).toEqual(['sudo']);
  });

  it('add up, and a denial in one of them wins', async () => {
    const vault = new SimulatedVault();
    vault.policy('one', { 'secret/data/*': ['read'], 'secret/data/no': ['deny'] });
    vault.policy('two', { 'secret/data/*': ['update'], 'secret/data/no': ['read'] });
    const token = vault.token({ policies: ['one', 'two'] });
    const ask = asker(vault);
    const { body } = await ask(
      'POST',
      'sys/capabilities-self',
      { paths: ['secret/data/x', 'secret/data/no'] },
      { token },
    );
    expect(body.data).toMatchObject({ 'secret/data/x': ['read', 'update'], 'secret/data/no': ['deny'] });
  });

  it('take effect when they change', async () => {
    const vault = new SimulatedVault();
    const ask = asker(vault);
    vault.policy('app', { 'secret/data/x': ['read'] });
    const token = vault.token({ policies: ['app'] });
    const status = async () => (await ask('GET', 'secret/data/x', undefined, { token })).status;
    expect(await status()).toBe(404);
    vault.policy('app', {});
    expect(await status()).toBe(403);
  });

  it('by default let an application work, but not administer the server', async () => {
    const vault = new SimulatedVault();
    const ask = asker(vault);
    const token = vault.token();
    const status = async (method: string, path: string) =>
      (await ask(method, path, method === 'GET' ? undefined : {}, { token })).status;
    expect(await status('GET', 'secret/data/x')).toBe(404);
    expect(await status('POST', 'auth/token/renew-self')).toBe(200);
    expect(await status('POST', 'sys/seal')).toBe(403);
    expect(await status('POST', 'sys/policies/acl/x')).toBe(403);
    expect(await status('POST', 'auth/approle/role/x')).toBe(403);
  });
});
