import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { devCommand } from '../../../../lib/cli/dev.js';
import { DevSecrets } from '../../../../lib/cli/dev/dev-secrets.js';
import { runCli } from '../../../../lib/cli/run-cli.js';
import { SimulatedVault } from '../../../../lib/testing/index.js';

const CANARY = 'canary-90ff';
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-dev-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
writeFileSync(
  join(folder, 'vault.dev.mjs'),
  'export default { databases: { memory: { roles: { a: {} } } } };',
);
writeFileSync(join(folder, 'text.json'), `{\n  "kv": { "a": "${CANARY}" },\n}`);
writeFileSync(join(folder, 'problem.json'), `{ "kv": { "a": "${CANARY}" }, "other": 1 }`);
writeFileSync(join(folder, 'throws.mjs'), `\nthrow new RangeError('${CANARY}');`);
writeFileSync(join(folder, 'empty.mjs'), '');

async function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  let output = '';
  const keep = (line: string) => void (output += `${line}\n`);
  const code = await runCli(['dev', ...args], [devCommand], { env, folder, print: keep, say: keep });
  return { code, output };
}

it.each([
  ['in production', { NODE_ENV: 'production' }, [], /NODE_ENV is "production"/, 1],
  ['without the file', {}, ['none.mjs'], /There is no file none\.mjs.*local-development/, 1],
  ['with an invalid port', {}, ['--port', '0'], /between 1 and 65535/, 2],
  ['JSON with a mistake', {}, ['text.json'], /text\.json is not valid JSON \(line 3\)/, 1],
  ['several problems', {}, ['problem.json'], /kv\.a must be an object.*; other is unknown/, 1],
  ['a module that throws', {}, ['throws.mjs'], /throws\.mjs could not be loaded: RangeError in line 2\./, 1],
  ['a module without an export', {}, ['empty.mjs'], /empty\.mjs has no default export/, 1],
  ['a real server without a token', {}, ['--server', 'http://127.0.0.1:1'], /VAULT_TOKEN is not set/, 1],
  [
    'a server elsewhere',
    { VAULT_TOKEN: CANARY },
    ['--server', 'https://vault.internal:8200'],
    /not on this machine.*--shared-server/,
    1,
  ],
  [
    'users in memory on a real server at a socket, which is on this machine',
    { BAO_TOKEN: CANARY },
    ['--server', 'unix:///run/none.sock'],
    /databases\.memory\.url is missing/,
    1,
  ],
  ['an address that is none', { VAULT_TOKEN: CANARY }, ['--server', 'vault'], /VAULT_CONFIG_INVALID/, 1],
  [
    'users in memory on a real server',
    { BAO_TOKEN: CANARY },
    ['--server', 'http://127.0.0.1:1'],
    /databases\.memory\.url is missing/,
    1,
  ],
])('refuses %s', async (_name, env, args, message, exit) => {
  const { code, output } = await run(args, env);
  expect(output).toMatch(message);
  expect(output).not.toContain(CANARY);
  expect(code).toBe(exit);
});

it.each(['openbao', 'vault'] as const)('sets up a server that answers as %s, once', async (dialect) => {
  const content = {
    kv: { payments: { apiKey: CANARY } },
    kvMounts: { legacy: { version: 1, secrets: { old: { a: 1 } } } },
    policies: { Orders: { 'secret/data/payments': ['read'] } },
    appRoles: { orders: { tokenPeriod: '1h' }, mail: { policies: ['Orders'], tokenType: 'batch' } },
  };
  writeFileSync(join(folder, 'whole.json'), JSON.stringify(content));
  const server = new SimulatedVault({ dialect, rootToken: 'root' });
  try {
    const args = ['whole.json', '--server', await server.listen(), '--shared-server'];
    const first = await run(args, { VAULT_TOKEN: 'root' });
    expect(first.output).toMatch(/added: KV secret legacy\/old.*added: policy Orders.*added: AppRole mail/s);
    const second = await run(args, { VAULT_TOKEN: 'root' });
    expect(second.output).toContain('nothing to change');
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(first.output + second.output).not.toContain(CANARY);
  } finally {
    await server.close();
  }
});

it('a folder without a file is told the names', async () => {
  const { output } = await runIn(mkdtempSync(join(folder, 'none-')));
  expect(output).toContain('has no vault.dev.mjs or vault.dev.json');
});

it('a folder with both files is not guessed about', async () => {
  const path = mkdtempSync(join(folder, 'both-'));
  for (const name of ['vault.dev.mjs', 'vault.dev.json']) writeFileSync(join(path, name), '');
  const { output } = await runIn(path);
  expect(output).toMatch(/has both vault\.dev\.mjs and vault\.dev\.json\. .*nestjs-vault dev <file>/);
});

async function runIn(path: string) {
  let output = '';
  const keep = (line: string) => void (output += `${line}\n`);
  await runCli(['dev'], [devCommand], { env: {}, folder: path, print: keep, say: keep });
  return { output };
}

it('secrets stay the same for a user, and nobody else has them', () => {
  const [mine, other] = ['mine', 'other'].map((name) => join(folder, name)) as [string, string];
  const path = '/app/vault.dev.mjs';
  const secretId = new DevSecrets(path, mine).secretId('orders');
  expect(secretId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  expect(new DevSecrets(path, mine).secretId('orders')).toBe(secretId);
  expect(new DevSecrets(path, mine).kept).toBe(true);
  const others = [
    new DevSecrets(path, mine).secretId('billing'),
    new DevSecrets(path, mine).rootToken,
    new DevSecrets('/other/vault.dev.mjs', mine).secretId('orders'),
    new DevSecrets(path, other).secretId('orders'),
  ];
  expect(new Set([secretId, ...others]).size).toBe(5);
  const unwritable = new DevSecrets(path, join(folder, 'vault.dev.mjs'));
  expect(unwritable.kept).toBe(false);
  expect(unwritable.secretId('a')).toBe(unwritable.secretId('a'));
});
