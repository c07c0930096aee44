// Packs the package, checks its format, and uses the tarball in scratch applications on both majors of Nest, as ESM
// and as CommonJS. Ends with the closing line that scripts/test.mjs adds up.
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'nestjs-vault-package-'));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
let passed = 0;
let failed = 0;

function check(name, command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', cwd: root, ...options });
  const ok = result.status === 0;
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? '  ok' : 'FAIL'}  ${name}`);
  if (!ok) console.log(result.stdout + result.stderr + (result.error ?? ''));
  return ok ? result.stdout : undefined;
}

const bin = (name) => join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);
try {
  const packed = check('npm pack', npm, [
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    scratch,
  ]);
  const [{ filename, files }] = Object.values(JSON.parse(packed));
  const tarball = join(scratch, filename);
  const stray = files
    .map(({ path }) => path)
    .filter((path) => !/^(dist\/(esm|cjs)\/|docs\/|README|CHANGELOG|LICENSE|package\.json)/.test(path));
  check(`only what is meant to be published${stray.length ? `: ${stray}` : ''}`, process.execPath, [
    '-e',
    `process.exit(${stray.length})`,
  ]);
  check('publint --strict', bin('publint'), ['run', '--strict', '--pack', 'false']);
  check('are the types wrong', bin('attw'), [tarball, '--ignore-rules', 'cjs-resolves-to-esm']);

  for (const format of ['esm', 'cjs'])
    check(`an import changes nothing in the process, ${format}`, process.execPath, [
      join(here, 'untouched.mjs'),
      format,
    ]);

  check('workers and threads each log in and revoke', process.execPath, [join(here, 'children.mjs')]);
  check('both copies in one process, and at its end', process.execPath, [join(here, 'two-copies.mjs')]);

  check('options that wait for their own connection', process.execPath, [join(here, 'cycle.mjs')]);

  const { rxjs, 'reflect-metadata': reflect, pg, '@types/pg': pgTypes, typescript } = devDependencies;
  for (const nest of ['11', '12']) {
    const app = join(scratch, `nest${nest}`);
    mkdirSync(app);
    const dependencies = {
      '@nestjs/common': `^${nest}`,
      '@nestjs/core': `^${nest}`,
      'reflect-metadata': reflect,
      rxjs,
      pg,
      'nestjs-vault': `file:${tarball}`,
    };
    const types = { '@types/pg': pgTypes, '@types/node': devDependencies['@types/node'], typescript };
    writeFileSync(
      join(app, 'package.json'),
      JSON.stringify({ private: true, type: 'module', dependencies, devDependencies: types }),
    );
    copyFileSync(join(here, 'smoke.mjs'), join(app, 'smoke.mjs'));
    copyFileSync(join(here, 'consumer.ts'), join(app, 'consumer.ts'));
    if (
      check(`Nest ${nest}: npm install`, npm, ['install', '--no-audit', '--no-fund', '--loglevel=error'], {
        cwd: app,
      }) === undefined
    )
      continue;
    for (const format of ['esm', 'cjs'])
      check(`Nest ${nest}: a whole life, ${format}`, process.execPath, ['smoke.mjs', format], { cwd: app });
    const flags = [
      '--noEmit',
      '--strict',
      '--skipLibCheck',
      'false',
      '--module',
      'nodenext',
      '--target',
      'es2022',
      '--experimentalDecorators',
      '--emitDecoratorMetadata',
      '--types',
      'node',
    ];
    // Nest 11's own declarations do not pass without skipLibCheck, so only ours are checked there.
    const strict = nest === '12' ? flags : flags.map((flag) => (flag === 'false' ? 'true' : flag));
    check(
      `Nest ${nest}: the types`,
      process.execPath,
      [join(app, 'node_modules/typescript/bin/tsc'), ...strict, 'consumer.ts'],
      { cwd: app },
    );
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed ? 1 : 0;
