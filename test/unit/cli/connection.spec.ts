import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { connectionOf } from '../../../lib/cli/connection.js';
import { loadModule } from '../../../lib/cli/load-module.js';

const CANARY = 'canary-77ab';
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function put(name: string, text: string): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), text);
}

const of = (env: NodeJS.ProcessEnv, options?: string) =>
  connectionOf(options === undefined ? {} : { options }, {
    env,
    folder,
    print: () => {},
    say: () => {},
    exit: () => {},
  });

const ADDR = { VAULT_ADDR: 'http://127.0.0.1:8200' };

it.each([
  [{ VAULT_TOKEN: CANARY }, 'token', 'the server of VAULT_ADDR, the login of VAULT_TOKEN'],
  [{ VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: CANARY }, 'approle', 'VAULT_ROLE_ID and VAULT_SECRET_ID'],
  [{ VAULT_ROLE_ID: 'r', VAULT_SECRET_ID_FILE: '/run/secret_id' }, 'approle', 'and VAULT_SECRET_ID_FILE'],
  [{ VAULT_ROLE_ID: 'r', VAULT_WRAPPED_SECRET_ID: CANARY }, 'approle', 'and VAULT_WRAPPED_SECRET_ID'],
  [{ VAULT_KUBERNETES_ROLE: 'jobs' }, 'kubernetes', 'the login of VAULT_KUBERNETES_ROLE'],
  [{ BAO_JWT_ROLE: 'ci', VAULT_JWT_FILE: '/run/jwt' }, 'jwt', 'the login of BAO_JWT_ROLE and VAULT_JWT_FILE'],
  [{ BAO_ROLE_ID: 'r', BAO_SECRET_ID: CANARY }, 'approle', 'BAO_ROLE_ID and BAO_SECRET_ID'],
  [{ VAULT_TOKEN: CANARY, VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: CANARY }, 'token', 'the login of VAULT_TOKEN'],
  [{ VAULT_TOKEN: '', VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: CANARY }, 'approle', 'VAULT_ROLE_ID'],
])('the environment %o logs in by %s', async (env, method, names) => {
  const { options, chosen } = await of({ ...ADDR, ...env });
  expect(options).toMatchObject({ address: ADDR.VAULT_ADDR, auth: { name: method, problems: [] } });
  expect(chosen).toContain(names);
  expect(chosen).not.toContain(CANARY);
});

it('without a login it lists all that was looked for', async () => {
  const error = await of({ ...ADDR, VAULT_ROLE_ID: 'r' }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
  const { message } = error as Error;
  for (const name of [
    'VAULT_TOKEN',
    'VAULT_ROLE_ID and VAULT_SECRET_ID',
    'VAULT_WRAPPED_SECRET_ID',
    '--options',
  ])
    expect(message).toContain(name);
});

it('without a server it says which variable is missing', async () => {
  const error: unknown = await of({ VAULT_TOKEN: CANARY }).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ message: expect.stringContaining('VAULT_ADDR') as string });
  expect(error).toMatchObject({ hint: expect.stringMatching(/^Correct .* by `--options`\.$/) as string });
});

const OPTIONS = `{ address: 'http://127.0.0.1:8200', auth: { name: 'own' } }`;

it.each([
  ['default.mjs', `export default ${OPTIONS};`],
  ['named.mjs', `export const vaultOptions = ${OPTIONS}; export default 1;`],
  ['function.mjs', `export default () => (${OPTIONS});`],
  ['async-function.mjs', `export const vaultOptions = async () => (${OPTIONS});`],
  ['promise.mjs', `export const vaultOptions = Promise.resolve(${OPTIONS});`],
  ['exports.cjs', `module.exports = ${OPTIONS};`],
  ['compiled.cjs', `exports.__esModule = true; exports.default = ${OPTIONS};`],
  ['compiled-named.cjs', `exports.__esModule = true; exports.vaultOptions = () => (${OPTIONS});`],
])('takes the options of the module %s', async (name, text) => {
  put(name, text);
  const { options, chosen } = await of({}, name);
  expect(options.auth.name).toBe('own');
  expect(chosen).toBe(`the options of ${name}`);
});

it.each([
  ['missing.mjs', undefined, /was not found/],
  ['empty.mjs', 'export const other = 1;', /exports no options/],
  ['throwing.mjs', `throw new RangeError('${CANARY}');`, /RangeError/],
  ['rejecting.mjs', `export default async () => { throw new RangeError('${CANARY}'); };`, /RangeError/],
  ['importing.mjs', `import './nothing.mjs';`, /or a module that it imports/],
])('the module %s is refused without the text of its error', async (name, text, message) => {
  if (text !== undefined) put(name, text);
  const error = await of({}, name).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
  expect((error as Error).message).toMatch(message);
  expect((error as Error).message).not.toContain(CANARY);
});

it("finds a package as the application does, not in this package's node_modules", async () => {
  await expect(loadModule('@nestjs/core', folder)).rejects.toThrow(/was not found/);
  for (const [name, exported] of [
    ['@nestjs/core', `'of the application'`],
    ['@acme/options', OPTIONS],
  ]) {
    put(`node_modules/${name}/package.json`, JSON.stringify({ name, main: 'index.js' }));
    put(`node_modules/${name}/index.js`, `exports.vaultOptions = ${exported};`);
  }
  expect(await loadModule('@nestjs/core', folder)).toMatchObject({ vaultOptions: 'of the application' });
  expect((await of({}, '@acme/options')).options.auth.name).toBe('own');
});
