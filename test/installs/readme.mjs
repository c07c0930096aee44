// The unchanged README and the pages on tests, on local development and on configuration, in applications made by `nest new`:
// the line installs, the modules compile, the tests pass, and the application runs, with its configuration from variables and
// from Vault, on the OpenBao and the PostgreSQL of the page on server set-up, then on the simulated server of the page on
// local development, and leaves no user.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, startOpenBao, startPostgres } from '../support/servers.mjs';
import { followSetUp } from '../support/set-up-page.mjs';
import { run, start } from './managers.mjs';
import { project } from './project.mjs';

const page = (name) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const readme = page('README.md');

const compilerOptions = {
  module: 'nodenext',
  moduleResolution: 'nodenext',
  esModuleInterop: true,
  isolatedModules: true,
  declaration: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  target: 'ES2023',
  outDir: './dist',
  skipLibCheck: true,
  strict: true,
  rootDir: '.',
};

/** The files of @nestjs/cli 11 and 12 that the test needs. */
const TEMPLATES = {
  11: {
    title: 'Nest 11, CommonJS, jest',
    type: 'commonjs',
    development: { jest: '^30.0.0', 'ts-jest': '^29.2.5', '@types/jest': '^30.0.0', typescript: '^5.7.3' },
    test: ['jest/bin/jest.js'],
    files: {
      'jest.config.json': {
        moduleFileExtensions: ['js', 'json', 'ts'],
        rootDir: 'src',
        testRegex: '.*\\.spec\\.ts$',
        transform: { '^.+\\.(t|j)s$': 'ts-jest' },
        testEnvironment: 'node',
      },
      'tsconfig.json': { compilerOptions: { ...compilerOptions, types: ['jest', 'node'] }, include: ['src'] },
    },
    line: (text) => text.replace('@nestjs/config@latest', instead()),
    // As README says.
    source: (text) => text.replaceAll(/'(\.\/[\w.]+)\.js'/g, `'$1'`),
  },
  12: {
    title: 'Nest 12, ESM, vitest',
    type: 'module',
    development: { vitest: '^4.1.2', typescript: '^6.0.2' },
    test: ['vitest/vitest.mjs', 'run'],
    files: {
      'vitest.config.ts': `export default { test: { globals: true, include: ['**/*.spec.ts'] } };\n`,
      'tsconfig.json': {
        compilerOptions: { ...compilerOptions, types: ['vitest/globals', 'node'] },
        include: ['src'],
      },
    },
    line: (text) => text,
    source: (text) => text,
  },
};

/** In a CommonJS project. */
function instead() {
  return /# Nest 11: (@nestjs\/config@[\w.]+)/.exec(readme)?.[1] ?? '(README names no version)';
}

/** The blocks whose first line names their file. */
const blocks = (text) => [...text.matchAll(/^```[tj]s\n\/\/ (\S+\.m?[tj]s)\n([\s\S]*?)^```$/gm)];
const ofReadme = blocks(readme + page('docs/testing.md') + page('docs/local-development.md'));
/** The same application with its configuration from Vault, and with the main.ts of the README. */
const configured = [
  ...blocks(page('docs/configuration.md')),
  ...ofReadme.filter(([, name]) => name === 'src/main.ts'),
];
const files = [
  ...ofReadme,
  ...configured.map(([block, name, text]) => [block, name.replace('src/', 'src/configured/'), text]),
];
const NAMES = [
  'src/app.module.ts',
  'src/main.ts',
  'src/orders.spec.ts',
  'src/no-database.spec.ts',
  'src/fixed-user.spec.ts',
  'src/outage.spec.ts',
  'src/configured/vault.ts',
  'src/configured/configuration.ts',
  'src/configured/app.module.ts',
  'src/configured/configuration.spec.ts',
  'src/configured/main.ts',
  'vault.dev.mjs',
];
const SPECS = NAMES.filter((name) => name.endsWith('.spec.ts'));
const [, line = ''] = /^```sh\n(npm install nestjs-vault .*)\n```$/m.exec(readme) ?? [];
/** Credentials of the user of the tests. */
const [, ci = ''] = /`(CREATE ROLE ci .*?)`/.exec(page('docs/testing.md')) ?? [];

export async function asReadme({ check, major, context }) {
  const { folder, tarball, nest, types } = context;
  const { title, type, development, test, files: configuration, line: lineFor, source } = TEMPLATES[major];
  const base = nest(major);
  const app = project(join(folder, `readme-${major}`), {
    type,
    dependencies: { ...base, '@nestjs/platform-express': base['@nestjs/core'] },
    devDependencies: {
      '@nestjs/testing': base['@nestjs/core'],
      '@types/node': types['@types/node'],
      zod: context.dev.zod,
      ...development,
    },
  });
  for (const [name, content] of Object.entries(configuration)) put(app, name, content);
  for (const [, name, text] of files) put(app, name, source(text));
  const names = files.map(([, name]) => name);
  const complete = line !== '' && ci !== '' && NAMES.every((name) => names.includes(name));
  check(`${title}: the pages have ${NAMES.join(', ')}`, complete, names.join(', '));

  const command = lineFor(line).replace('install nestjs-vault', `install ${tarball}`);
  const { ok, output } = await run('sh', ['-c', command], {
    cwd: app,
    env: { npm_config_loglevel: 'error' },
  });
  if (!check(`${title}: ${lineFor(line)}`, ok, output)) return;
  const modules = join(app, 'node_modules');
  const compiled = await run(process.execPath, [join(modules, 'typescript/bin/tsc')], {
    cwd: app,
  });
  check(`${title}: compiles`, compiled.ok, compiled.output);

  const [bao, postgres] = await Promise.all([startOpenBao({ storage: 'raft' }), startPostgres()]);
  try {
    const { variables } = await followSetUp(bao, postgres, app);
    await postgres.query(ci);
    const users = async () => {
      const { rows } = await postgres.query(`select rolname from pg_roles where rolname like 'v-%'`);
      return rows.length;
    };
    const { connectionString, host, port, database } = postgres;
    const env = { ADMIN_URL: connectionString, PGHOST: host, PGPORT: String(port), PGDATABASE: database };
    const [runner, ...args] = test;
    const tested = await run(process.execPath, [join(modules, runner), ...args], { cwd: app, env });
    check(
      `${title}: the tests pass`,
      tested.ok && tested.output.includes(`${SPECS.length} passed`),
      tested.output,
    );
    check(`${title}: no user is left by the tests`, (await users()) === 0);

    const bin = join(modules, 'nestjs-vault', 'dist', 'esm', 'cli', 'main.js');
    const listenOn = String(await freePort());
    const dev = [bin, 'dev', '--port', listenOn, '--secret-id-file', 'secret_id_of_dev'];
    const vault = await start(dev, /^export PGDATABASE=.*$/m, {
      cwd: app,
      env: { ...env, HOME: app },
    });
    const printed = Object.fromEntries(
      [...vault.output().matchAll(/^export (VAULT_\w+)=(\S+)$/gm)].map(([, name, value]) => [name, value]),
    );
    for (const [server, its] of Object.entries({ OpenBao: variables, 'the simulated server': printed })) {
      for (const name of ['main', 'configured/main']) {
        // Port 3000 may be in use.
        const main = await start([`dist/src/${name}.js`], /successfully started/, {
          cwd: app,
          env: { ...env, ...its, PORT: '0' },
        });
        const working = await users();
        check(`${title}: ${name}.ts on ${server}, users: ${working}`, working === 1, main.output());
        if (name !== 'main') {
          const line = /http:\/\/localhost:9000, at most 5000 ms, key \[redacted\]/;
          check(`${title}: its configuration is from Vault`, line.test(main.output()), main.output());
        }
        await main.stop();
        // A server drops users a moment after the revocation.
        for (let tries = 0; tries < 100 && (await users()) > 0; tries++) await sleep(50);
        const left = await users();
        check(`${title}: after SIGTERM, users: ${left}`, left === 0, vault.output() + main.output());
      }
    }
    await vault.stop();
  } finally {
    await Promise.all([bao.stop(), postgres.stop()]);
  }
}

function put(folder, name, content) {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content, undefined, 2));
}
