// Packs the package, checks its format, and uses the tarball in scratch applications on both majors of Nest, as ESM
// and as CommonJS. Ends with the closing line that scripts/test.mjs adds up.
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../installs/managers.mjs';
import { project, STRICT } from '../installs/project.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');
const scratch = mkdtempSync(join(tmpdir(), 'nestjs-vault-package-'));
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const { devDependencies, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
let passed = 0;
let failed = 0;

/** @returns its output, if it succeeded */
async function check(name, command, args, { cwd = root } = {}) {
  const { ok, output, stdout } = await run(command, args, { cwd });
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? '  ok' : 'FAIL'}  ${name}`);
  if (!ok) console.log(output);
  return ok ? stdout : undefined;
}

const bin = (name) => join(root, 'node_modules', '.bin', process.platform === 'win32' ? `${name}.cmd` : name);
try {
  const packed = await check('npm pack', npm, [
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
    .filter(
      (path) => !/^(dist\/(esm|cjs)\/|docs\/|README|CHANGELOG|SECURITY|LICENSE|package\.json)/.test(path),
    );
  const format = async () => {
    await check(`only what is meant to be published${stray.length ? `: ${stray}` : ''}`, process.execPath, [
      '-e',
      `process.exit(${stray.length})`,
    ]);
    await check('publint --strict', bin('publint'), ['run', '--strict', '--pack', 'false']);
    await check('are the types wrong', bin('attw'), [tarball, '--ignore-rules', 'cjs-resolves-to-esm']);

    for (const format of ['esm', 'cjs'])
      await check(`an import changes nothing in the process, ${format}`, process.execPath, [
        join(here, 'untouched.mjs'),
        format,
      ]);

    for (const format of ['esm', 'cjs'])
      for (const order of ['after', 'before'])
        await check(
          `no axios; an application that uses it ${order} has the whole one, ${format}`,
          process.execPath,
          [join(here, 'loaded.mjs'), format, order],
        );
    await check('another node-vault, none, a bundle, and files removed below a process', process.execPath, [
      join(here, 'moved.mjs'),
    ]);

    await check('workers and threads each log in and revoke', process.execPath, [join(here, 'children.mjs')]);
    await check('both copies in one process, and at its end', process.execPath, [
      join(here, 'two-copies.mjs'),
    ]);

    await check('the bin runs a program, and ends what it made', process.execPath, [join(here, 'exec.mjs')]);

    await check('options that wait for their own connection', process.execPath, [join(here, 'cycle.mjs')]);
  };

  const { rxjs, 'reflect-metadata': reflect, pg, '@types/pg': pgTypes, typescript } = devDependencies;
  const application = async (nest) => {
    const dependencies = {
      '@nestjs/common': `^${nest}`,
      '@nestjs/core': `^${nest}`,
      '@nestjs/terminus': `^${nest}`,
      'reflect-metadata': reflect,
      rxjs,
      pg,
      'nestjs-vault': `file:${tarball}`,
    };
    const types = { '@types/pg': pgTypes, '@types/node': devDependencies['@types/node'], typescript };
    const app = project(join(scratch, `nest${nest}`), { dependencies, devDependencies: types });
    copyFileSync(join(here, 'smoke.mjs'), join(app, 'smoke.mjs'));
    copyFileSync(join(here, 'consumer.ts'), join(app, 'consumer.ts'));
    if (
      (await check(
        `Nest ${nest}: npm install`,
        npm,
        ['install', '--no-audit', '--no-fund', '--loglevel=error'],
        {
          cwd: app,
        },
      )) === undefined
    )
      return;
    for (const format of ['esm', 'cjs'])
      await check(`Nest ${nest}: a whole lifecycle, ${format}`, process.execPath, ['smoke.mjs', format], {
        cwd: app,
      });
    const command = join(
      app,
      'node_modules',
      '.bin',
      process.platform === 'win32' ? 'nestjs-vault.cmd' : 'nestjs-vault',
    );
    const printed = await check(`Nest ${nest}: the bin`, command, ['--version'], { cwd: app });
    await check(`Nest ${nest}: the bin prints its version`, process.execPath, [
      '-e',
      `process.exit(${JSON.stringify(printed?.trim() === version)} ? 0 : 1)`,
    ]);
    // Nest 11's own declarations do not pass without skipLibCheck, so only ours are checked there.
    const strict = nest === '12' ? STRICT : STRICT.map((flag) => (flag === 'false' ? 'true' : flag));
    await check(
      `Nest ${nest}: the types`,
      process.execPath,
      [join(app, 'node_modules/typescript/bin/tsc'), ...strict, 'consumer.ts'],
      { cwd: app },
    );
  };
  // Each application waits some time for a registry.
  await Promise.all([format(), application('11'), application('12')]);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
console.log(`${passed} passed, ${failed} failed, 0 skipped`);
process.exitCode = failed ? 1 : 0;
