import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { HttpProxy } from '../support/http-proxy.js';
import { describeReal } from '../support/real-servers.js';
import { provision, startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CANARY = 'canary-in-the-secret-31415926';

/** An application in a process of its own, with a given environment; returns all its output. */
const PROGRAM = `
import { appRole } from './auth/app-role.js';
import { resolveOptions } from './config/resolved-options.js';
import { VaultConnection } from './connection/vault-connection.js';
import { EventBus } from './events/events.js';
import { fromEnv, fromWrappedToken } from './secret/secret-source.js';

const bus = new EventBus();
bus.events$.subscribe((event) => console.log('event', event));
const auth = appRole({ roleId: process.env.TEST_ROLE_ID, secretId: fromWrappedToken(fromEnv('TEST_WRAPPED')) });
const connection = new VaultConnection(resolveOptions({ address: process.env.TEST_ADDRESS, auth }), bus);
await connection.login();
const secret = await connection.secrets.read('app', {});
console.log('read', secret, connection, connection.status, auth);
console.log('length %d', secret.data.reveal().value.length);
await connection.client.write('secret/data/written', { data: { value: process.env.TEST_CANARY } });
await connection.client.read('sys/mounts').catch((error) => console.log('denied', error, JSON.stringify(error)));
await connection.client.read('kv1/x').catch((error) => console.log('refused', error));
const bad = appRole({ roleId: 'x', secretId: process.env.TEST_CANARY });
const options = { address: process.env.TEST_ADDRESS, auth: bad, startup: { timeout: 0 } };
const second = new VaultConnection(resolveOptions(options), bus);
await second.login().catch((error) => console.error('bad login', error));
await second.close();
await connection.close();
console.log('done');
`;

describeReal('an environment with debug output', () => {
  let bao: OpenBaoServer;
  let proxy: HttpProxy;
  let role: Provisioned;
  let built: string;

  beforeAll(async () => {
    bao = await startOpenBao();
    role = await provision(bao, undefined);
    await bao.api('POST', 'secret/data/app', { data: { value: CANARY } });
    proxy = await HttpProxy.start(bao.address);
    // Beside node_modules, so that packages resolve.
    mkdirSync(join(root, '.cache'), { recursive: true });
    built = mkdtempSync(join(root, '.cache/secrecy-'));
    transpile(join(root, 'lib'), built);
    writeFileSync(join(built, 'package.json'), '{"type":"module"}');
    writeFileSync(join(built, 'program.js'), PROGRAM);
  });
  afterAll(async () => {
    await proxy?.stop();
    await bao?.stop();
    if (built) rmSync(built, { recursive: true, force: true });
  });

  function transpile(from: string, to: string): void {
    for (const name of readdirSync(from, { recursive: true, encoding: 'utf8' })) {
      if (!/\.c?ts$/.test(name)) continue;
      const compilerOptions = {
        module: name.endsWith('.cts') ? ts.ModuleKind.CommonJS : ts.ModuleKind.ES2022,
        target: ts.ScriptTarget.ES2022,
        experimentalDecorators: true,
      };
      const { outputText } = ts.transpileModule(readFileSync(join(from, name), 'utf8'), { compilerOptions });
      const path = join(to, name.replace(/\.(c?)ts$/, '.$1js'));
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, outputText);
    }
  }

  async function run(
    env: Record<string, string>,
  ): Promise<{ output: string; code: number | null; secrets: string[] }> {
    const wrapped = await role.newWrappedSecretId();
    proxy.clear();
    const child = spawn(process.execPath, [join(built, 'program.js')], {
      env: {
        PATH: process.env['PATH'] ?? '',
        TEST_ADDRESS: proxy.address,
        TEST_ROLE_ID: role.roleId,
        TEST_WRAPPED: wrapped,
        TEST_CANARY: CANARY,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (chunk) => (output += String(chunk)));
    child.stderr.on('data', (chunk) => (output += String(chunk)));
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    const tokens = proxy.seen.map(({ headers }) => String(headers['x-vault-token'] ?? wrapped));
    const ids = proxy.seen
      .filter(({ url }) => url.endsWith('/login'))
      .map(({ body }) => (JSON.parse(body) as { secret_id: string }).secret_id);
    return { output, code, secrets: [...new Set([wrapped, CANARY, ...tokens, ...ids])] };
  }

  it('DEBUG=* and NODE_DEBUG of the HTTP client print no token, no secret_id, no secret', async () => {
    const { output, code, secrets } = await run({ DEBUG: '*', NODE_DEBUG: 'undici,fetch,http,net' });
    expect(code, output.slice(-2_000)).toBe(0);
    for (const step of ['read', 'length 29', 'denied', 'bad login', 'done']) expect(output).toContain(step);
    expect(secrets.length).toBeGreaterThan(3);
    expect(secrets.filter((secret) => output.includes(secret))).toHaveLength(0);
  });

  it('variables of Vault and of proxies have no effect', async () => {
    let reached = 0;
    const elsewhere = createServer((_request, response) => {
      reached++;
      response.end('{}');
    });
    elsewhere.on('connect', (_request, socket) => {
      reached++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
    const trap = `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`;
    try {
      const { output, code } = await run({
        VAULT_ADDR: trap,
        BAO_ADDR: trap,
        VAULT_TOKEN: 'hvs.from-the-environment',
        BAO_TOKEN: 'hvs.from-the-environment',
        VAULT_NAMESPACE: 'from/the/environment',
        BAO_NAMESPACE: 'from/the/environment',
        VAULT_PREFIX: '/prefix',
        VAULT_SKIP_VERIFY: 'true',
        VAULT_CACERT: '/nowhere/ca.pem',
        HTTP_PROXY: trap,
        http_proxy: trap,
        HTTPS_PROXY: trap,
        ALL_PROXY: trap,
        NODE_USE_ENV_PROXY: '1',
      });
      expect(code, output.slice(-2_000)).toBe(0);
      expect(reached).toBe(0);
      expect(proxy.seen.length).toBeGreaterThan(5);
      for (const { headers, url } of proxy.seen) {
        expect(headers).not.toHaveProperty('x-vault-namespace');
        expect(headers['x-vault-token']).not.toBe('hvs.from-the-environment');
        expect(url).toMatch(/^\/v1\//);
      }
    } finally {
      await new Promise((resolve) => elsewhere.close(resolve));
    }
  });
});
