// The method and the engine of the pages in an application of Nest, against the types of the tarball. On a real OpenBao
// each has its whole life: this process is the administrator, and follows the events that the application prints.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { blocksOf } from '../support/pages.mjs';
import { startOpenBao } from '../support/servers.mjs';
import { run } from './managers.mjs';
import { compile, project, put, transpiled } from './project.mjs';

const title = 'own rules';
const MAX_LINES = 40;
/** Time limit of each step, in milliseconds. */
const PATIENCE = 30_000;
const PASSWORD = 'canary-password-of-orders';
const LEASES = 'pki/issue/orders';
const AUTHORITY = 'authority/issuer/default';

/** By file: the blocks of the pages. */
const RULES = { userpass: 'docs/auth-methods.md', authority: 'docs/engines.md' };

const MAIN = `
import 'reflect-metadata';
import { X509Certificate } from 'node:crypto';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CredentialsService, fromEnv, VaultModule, type Engine } from 'nestjs-vault';
import { authority, type Issuer } from './authority.js';
import { userpass } from './userpass.js';

const print = (line: object) => console.log(JSON.stringify(line));
const subject = ({ certificate }: Issuer) => new X509Certificate(certificate).subject;

const printed: Engine<Issuer> = {
  ...authority,
  life(answer) {
    const life = authority.life(answer);
    print({ type: 'answer', subject: subject(answer.data.reveal()), all: answer.data.reveal(), ...life });
    return life;
  },
};

@Module({
  imports: [
    VaultModule.forRoot({
      address: process.env.VAULT_ADDR!,
      auth: userpass('orders', fromEnv('VAULT_PASSWORD')),
      engines: [printed],
    }),
  ],
})
class AppModule {}

async function main() {
  const app = await NestFactory.createApplicationContext(AppModule, { logger: ['error', 'warn'] });
  app.enableShutdownHooks();
  const credentials = app.get(CredentialsService);
  // An application without a server ends when nothing is left to do.
  setInterval(() => {}, 60_000);
  credentials.recentEvents.forEach(print);
  credentials.events$.subscribe(print);
  credentials
    .watch<Issuer>('${AUTHORITY}')
    .subscribe(({ data }) => print({ type: 'snapshot', subject: subject(data.reveal()) }));
  credentials.watch('${LEASES}', { parameters: { common_name: 'orders.internal' } }).subscribe();
}
void main();
`;

/** Not compiled: a name alone is neither a method nor an engine. */
const ANYTHING = `
import type { AuthMethod, Engine } from 'nestjs-vault';
export const method: AuthMethod = { name: 'anything' };
export const engine: Engine = { name: 'anything' };
`;

export async function ownRules({ check, context }) {
  const { folder, tarball, nest, dev } = context;
  const app = project(join(folder, 'own-rules'), {
    dependencies: { 'nestjs-vault': `file:${tarball}`, ...nest(12) },
    devDependencies: { '@types/node': dev['@types/node'], typescript: dev.typescript },
  });
  const sources = { main: MAIN, anything: ANYTHING };
  for (const [name, page] of Object.entries(RULES)) {
    sources[name] = blocksOf(page).find(({ file }) => file === `src/${name}.ts`)?.text ?? '';
    const lines = sources[name].trimEnd().split('\n').length;
    check(`${title}: ${name} of ${page}, ${lines} lines`, lines > 1 && lines < MAX_LINES);
  }
  for (const [name, text] of Object.entries(sources)) put(app, `src/${name}.ts`, text);
  for (const name of ['main', ...Object.keys(RULES)])
    put(app, `dist/${name}.js`, transpiled(sources[name], 'ESNext'));
  const { ok, output } = await run(
    'npm',
    ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error'],
    {
      cwd: app,
    },
  );
  if (!check(`${title}: npm install`, ok, output)) return;

  await declarations({ check, app, names: Object.keys(sources) });
  await onServer({ check, app });
}

async function declarations({ check, app, names }) {
  const { output } = await compile(app, ...names.map((name) => join('src', `${name}.ts`)));
  const refused = output.split('\n').filter((line) => line.includes('anything.ts'));
  check(`${title}: the types, with all declarations`, output === refused.join('\n'), output);
  const missing = ['login', 'life'].filter((name, n) =>
    refused[n]?.includes(`Property '${name}' is missing`),
  );
  check(`${title}: a name alone does not compile`, refused.length === 2 && missing.length === 2, output);
}

async function onServer({ check, app }) {
  const bao = await startOpenBao();
  try {
    await wrongPassword({ check, app, bao });
    await wholeLife({ check, app, bao });
  } finally {
    await bao.stop();
  }
}

async function wrongPassword({ check, app, bao }) {
  await bao.api('POST', 'sys/auth/userpass', { type: 'userpass' });
  await bao.api('POST', 'auth/userpass/users/orders', {
    password: PASSWORD,
    token_policies: ['orders'],
    token_ttl: '4s',
    token_max_ttl: '9s',
  });
  const env = { VAULT_ADDR: bao.address, VAULT_PASSWORD: 'canary-wrong' };
  const { ok, output } = await run(process.execPath, ['dist/main.js'], { cwd: app, env });
  const told = !ok && /VAULT_LOGIN_INPUT_INVALID/.test(output) && !/canary/.test(output);
  check(`${title}: the method explains a wrong password, and does not show it`, told, output);
}

async function wholeLife({ check, app, bao }) {
  await setUp(bao);
  const env = { VAULT_ADDR: bao.address, VAULT_PASSWORD: PASSWORD };
  const program = follow(['dist/main.js'], { cwd: app, env });
  try {
    await Promise.all([lifeOfMethod({ check, bao, program }), lifeOfEngine({ check, bao, program })]);
    const before = await tokens(bao);
    await program.end();
    const left = await Promise.all(before.map(({ accessor }) => lookUp(bao, accessor)));
    const alive = left.filter(({ status }) => status === 200).length;
    const leases = await bao.api('LIST', `sys/leases/lookup/${LEASES}`);
    check(
      `${title}: at the end, tokens: ${alive} of ${before.length}, leases: ${leases.status === 404 ? 0 : 'some'}`,
      before.length > 0 && alive === 0 && (await tokens(bao)).length === 0 && leases.status === 404,
      program.output(),
    );
    const secret = /canary|\b(?:hv)?s\.\w{20}/.test(program.output());
    check(`${title}: no secret is printed`, !secret, 'a secret is printed');
  } catch (error) {
    check(`${title}: the whole life`, false, `${error.message}\n${program.output()}`);
  } finally {
    await program.end();
  }
}

async function lifeOfMethod({ check, bao, program: { first } }) {
  const login = (reason) =>
    first(`login, ${reason}`, (line) => line.type === 'login' && line.reason === reason);
  const reissued = (since) =>
    first('a new lease', (line) => line.type === 'rotated' && line.path === LEASES, since);
  const start = await login('start');
  await first('the first lease', (line) => line.type === 'issued' && line.path === LEASES);
  await first('a renewal', (line) => line.type === 'token-renewed' && line.sequence === 1);
  const ahead = await login('max-ttl');
  const moved = await reissued(ahead);
  const [newest] = await tokens(bao);
  await bao.api('POST', 'auth/token/revoke-accessor', { accessor: newest.accessor });
  const lost = await login('token-lost');
  const replaced = await reissued(lost);
  const times = [ahead, moved, lost, replaced].map((line) => seconds(start, line)).join(', ');
  check(
    `${title}: the method renews, logs in ahead of the max TTL and after a loss, each with a new lease (s: ${times})`,
    true,
  );
}

async function lifeOfEngine({ check, bao, program: { lines, first, output } }) {
  await first('the first snapshot', (line) => line.type === 'snapshot');
  // Not a part of the secret.
  await bao.api('POST', AUTHORITY, { issuer_name: 'renamed' });
  const isAgain = (line) => line.type === 'answer' && line.all.issuer_name === 'renamed';
  const again = await first('another read of the same certificate', isAgain);
  await bao.api('POST', 'authority/config/issuers', { default: 'two' });
  await first('the other certificate', (line) => line.type === 'snapshot' && line.subject === 'CN=two');
  const snapshots = lines.filter(({ type }) => type === 'snapshot').map((line) => line.subject);
  const reads = lines.filter(({ type }) => type === 'answer').length;
  const ahead = (again.expiresIn / 1_000).toFixed(1);
  check(
    `${title}: the engine reads again ${ahead} s before the end; ${reads} reads, snapshots: ${snapshots.join(', ')}`,
    again.expiresIn > 0 && reads > 2 && String(snapshots) === 'CN=one,CN=two',
    output(),
  );
  const expired = lines.filter(({ type }) => type === 'expired').map(({ path }) => path);
  check(`${title}: nothing of the engine expires`, !expired.includes(AUTHORITY), output());
}

/** An authority of 15 s, another one in waiting, and certificates with leases. */
async function setUp(bao) {
  const post = async (path, body) => {
    const { status, body: answer } = await bao.api('POST', path, body);
    if (status >= 300) throw new Error(`${path}: ${status} ${JSON.stringify(answer)}`);
  };
  const policy = `
    path "${LEASES}" { capabilities = ["update"] }
    path "${AUTHORITY}" { capabilities = ["read"] }`;
  await post('sys/policies/acl/orders', { policy });
  for (const mount of ['pki', 'authority']) await post(`sys/mounts/${mount}`, { type: 'pki' });
  const root = (name, ttl) => ({ common_name: name, issuer_name: name, ttl, key_type: 'ec' });
  await post('pki/root/generate/internal', root('pki', '1h'));
  await post('pki/roles/orders', { allow_any_name: true, key_type: 'ec', generate_lease: true, ttl: '10m' });
  await post('authority/root/generate/internal', root('one', '15s'));
  await post('authority/root/generate/internal', root('two', '1h'));
}

/** The tokens of the application, the newest first. */
async function tokens(bao) {
  const { body } = await bao.api('LIST', 'auth/token/accessors');
  const found = await Promise.all(body.data.keys.map((accessor) => lookUp(bao, accessor)));
  return found
    .flatMap((answer) => (answer.status === 200 ? [answer.body.data] : []))
    .filter(({ path }) => path === 'auth/userpass/login/orders')
    .sort((a, b) => Date.parse(b.issue_time) - Date.parse(a.issue_time));
}

const lookUp = (bao, accessor) => bao.api('POST', 'auth/token/lookup-accessor', { accessor });
const seconds = (start, { at }) => ((Date.parse(at) - Date.parse(start.at)) / 1_000).toFixed(1);

/** Runs a program that prints an object a line. */
function follow(args, { cwd, env }) {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, ...env } });
  const closed = new Promise((resolve) => child.once('close', resolve));
  const lines = [];
  const waiting = new Set();
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    createInterface({ input: stream }).on('line', (text) => {
      output += `${text}\n`;
      if (!text.startsWith('{')) return;
      lines.push(JSON.parse(text));
      for (const look of waiting) look();
    });
  /** The first line, after another one, that matches. */
  const first = (what, matches, since) =>
    new Promise((resolve, reject) => {
      const look = () => {
        const found = lines.slice(lines.indexOf(since) + 1).find(matches);
        if (found) settle(() => resolve(found));
      };
      const settle = (done) => {
        waiting.delete(look);
        clearTimeout(timer);
        done();
      };
      const give = () => settle(() => reject(new Error(`There was not: ${what}`)));
      const timer = setTimeout(give, PATIENCE);
      void closed.then(give);
      waiting.add(look);
      look();
    });
  const end = () => {
    child.kill('SIGTERM');
    return closed;
  };
  return { lines, first, output: () => output, end };
}
