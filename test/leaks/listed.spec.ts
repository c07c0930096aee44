import { execFileSync, spawnSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { connect as connectTls } from 'node:tls';
import { inspect } from 'node:util';
import { SimulatedVault } from 'nestjs-vault/testing';
import { appRole } from 'nestjs-vault';
import { afterEach, describe, expect, it } from 'vitest';
import { hide } from '../../lib/secret/hidden.js';
import { Authority, opensslAvailable } from '../support/certificates.js';
import { closeConnections, connect } from '../support/connect.js';
import { describeReal } from '../support/real-servers.js';
import { startPostgres } from '../support/servers.mjs';
import { HIDDEN } from './printers.js';

const CANARY = 'canary-that-is-listed';

// docs/limits-and-security.md lists leaks that cannot be prevented: remove an item there when its test fails.
describe('the list of docs/limits-and-security.md is true', () => {
  afterEach(closeConnections);

  it("undici's diagnostics channels pass tokens and bodies to every subscriber", async () => {
    const vault = new SimulatedVault();
    const { roleId, secretId } = vault.appRole('app');
    const id = secretId();
    const address = await vault.listen();
    const seen: { headers: string; body: string }[] = [];
    const note = (message: unknown) => {
      const { request } = message as { request: { headers: unknown; body: unknown } };
      seen.push({ headers: String(request.headers), body: String(request.body) });
    };
    subscribe('undici:request:create', note);
    try {
      const { connection } = connect({ address, auth: appRole({ roleId, secretId: id }) });
      await connection.login();
      await connection.client.read('secret/data/nothing').catch(() => undefined);
    } finally {
      unsubscribe('undici:request:create', note);
    }
    expect(seen.some(({ body }) => body.includes(id))).toBe(true);
    expect(seen.some(({ headers }) => /x-vault-token/i.test(headers))).toBe(true);
    await closeConnections();
    await vault.close();
  });

  it('a TLS socket shows its private key', () => {
    const socket = connectTls({ host: '127.0.0.1', port: 1, passphrase: CANARY });
    socket.on('error', () => undefined);
    expect(inspect(socket, { depth: 3 })).toContain(CANARY);
    socket.destroy();
  });

  it('console.dir with showHidden shows the password of a driver during the login', () => {
    const client = {};
    hide(client, { password: CANARY });
    expect(HIDDEN['console.dir, everything']?.(client)).toContain(CANARY);
  });

  it('a diagnostic report contains the environment, and /proc the initial environment and arguments', () => {
    const program = `
      const { TEST_CANARY } = process.env;
      const { environmentVariables } = process.report.getReport();
      delete process.env.TEST_CANARY;
      let started = 'TEST_CANARY=' + TEST_CANARY;
      try { started = require('node:fs').readFileSync('/proc/self/environ', 'utf8'); } catch {}
      console.log(environmentVariables.TEST_CANARY, started.includes(TEST_CANARY));`;
    const env = { PATH: process.env['PATH'] ?? '', TEST_CANARY: CANARY };
    expect(execFileSync(process.execPath, ['-e', program], { env, encoding: 'utf8' })).toBe(
      `${CANARY} true\n`,
    );
  });

  it('NODE_DEBUG=child_process prints the environment that a Node program, as npx, gives to another', () => {
    const program = `require('node:child_process').spawn(process.execPath, ['--version'])`;
    const env = { PATH: process.env['PATH'] ?? '', TEST_CANARY: CANARY, NODE_DEBUG: 'child_process' };
    const { stderr } = spawnSync(process.execPath, ['-e', program], { env, encoding: 'utf8' });
    expect(stderr).toContain(CANARY);
  });

  it.skipIf(!opensslAvailable)(
    'NODE_OPTIONS=--tls-keylog writes the keys of TLS sessions into a file',
    () => {
      const authority = new Authority();
      try {
        const { certFile, keyFile } = authority.issue('server', 'IP:127.0.0.1');
        const file = `${certFile}.keys`;
        const program = `
        const { readFileSync: read } = require('node:fs');
        const tls = require('node:tls');
        const [cert, key, ca] = process.argv.slice(1).map((path) => read(path));
        const server = tls.createServer({ cert, key }, (socket) => socket.end()).listen(0, '127.0.0.1', () =>
          tls.connect({ host: '127.0.0.1', port: server.address().port, ca }).on('close', () => server.close()).resume());`;
        execFileSync(process.execPath, ['-e', program, certFile, keyFile, authority.certFile], {
          env: { PATH: process.env['PATH'] ?? '', NODE_OPTIONS: `--tls-keylog=${file}` },
        });
        expect(readFileSync(file, 'utf8')).toMatch(/^CLIENT_TRAFFIC_SECRET_0 /m);
      } finally {
        authority.remove();
      }
    },
  );

  it('a heap snapshot contains every secret', () => {
    const program = `
      const value = [...'${CANARY}'].reverse().join('');
      (async () => {
        let text = '';
        for await (const chunk of require('node:v8').getHeapSnapshot()) text += chunk;
        console.log(text.includes(value));
      })();`;
    expect(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' })).toBe('true\n');
  });
});

describeReal('the list of docs/limits-and-security.md on PostgreSQL is true', () => {
  it('statements are logged with the password that they set: by default the failed ones', async () => {
    const postgres = await startPostgres();
    try {
      await postgres.query('create role taken');
      await expect(postgres.query(`create role taken password '${CANARY}'`)).rejects.toThrow();
      await expect.poll(() => postgres.output).toContain(CANARY);
      await postgres.query(`alter system set log_statement = 'ddl'`);
      await postgres.query('select pg_reload_conf()');
      const logged = async () => {
        await postgres.query(`alter role taken password '${CANARY}-again'`);
        return postgres.output;
      };
      await expect.poll(logged).toContain(`${CANARY}-again`);
    } finally {
      await postgres.stop();
    }
  });
});
