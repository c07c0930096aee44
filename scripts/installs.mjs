// npm run test:installs [-- --short]: the packed tarball in applications: without Nest; a method and an engine of the
// pages, with their whole life; the unchanged README on Nest 11 and 12; beside older drivers, with npm, pnpm and Yarn;
// with the oldest accepted versions. The short form, for CI, has all old drivers in one application.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { atTheFloors } from '../test/installs/floors.mjs';
import { packageManagers, run } from '../test/installs/managers.mjs';
import { withoutNest } from '../test/installs/command-lines.mjs';
import { besideOld, OLD } from '../test/installs/old-drivers.mjs';
import { ownRules } from '../test/installs/own-rules.mjs';
import { asReadme } from '../test/installs/readme.mjs';
import { ensureInstalled } from './ensure-installed.mjs';

const { values } = parseArgs({ options: { short: { type: 'boolean', default: false } } });
const root = fileURLToPath(new URL('..', import.meta.url));
const { devDependencies: dev } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const NPM = process.platform === 'win32' ? 'npm.cmd' : 'npm';
/** Applications at a time: installing waits for the disk and the network. */
const AT_A_TIME = 2;
let passed = 0;
let failed = 0;

function check(name, ok, output) {
  if (ok) passed++;
  else failed++;
  console.log(`${ok ? '  ok' : 'FAIL'}  ${name}`);
  if (!ok) console.log(output);
  return ok;
}

await ensureInstalled();
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-installs-'));
const start = performance.now();
try {
  const clone = await copyOfSources();
  const tarball = await pack(clone);
  const floorsFile = pathToFileURL(join(clone, 'dist/esm/integrations/driver/floors.js'));
  const { FLOORS } = await import(floorsFile);
  const context = {
    dev,
    folder,
    managers: await packageManagers(join(root, '.cache', 'installs')),
    tarball,
    nest: (major) => ({
      '@nestjs/common': `^${major}`,
      '@nestjs/core': `^${major}`,
      'reflect-metadata': dev['reflect-metadata'],
      rxjs: dev.rxjs,
    }),
    types: { '@types/node': dev['@types/node'], '@types/pg': dev['@types/pg'], typescript: dev.typescript },
  };
  const names = Object.keys(OLD);
  const beside = (manager, some) => () => besideOld({ check, manager, names: some, context });
  const floors = (which) => () => atTheFloors({ check, floors: FLOORS, which, context });
  const core = () => withoutNest({ check, context });
  const own = () => ownRules({ check, context });
  const readme = (major) => () => asReadme({ check, major, context });
  // npm itself refuses redis 5 beside TypeORM 0.3.17, which accepts redis 3 and 4.
  const npm = [['redis'], names.filter((name) => name !== 'redis')].map((some) => beside('npm', some));
  const short = [
    core,
    own,
    readme(11),
    readme(12),
    ...npm,
    beside('pnpm', names),
    beside('yarn', names),
    floors(0),
  ];
  const whole = ['npm', 'pnpm', 'yarn', 'yarn 1'].flatMap((manager) =>
    names.map((name) => beside(manager, [name])),
  );
  const waiting = values.short ? short : [...short, beside('yarn 1', names), floors(-1), ...whole];
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) await next();
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(
  `${passed} passed, ${failed} failed, 0 skipped (${Math.round((performance.now() - start) / 1000)} s)`,
);
process.exitCode = failed ? 1 : 0;

/** Files that git tracks or would add. */
async function copyOfSources() {
  const { output } = await run('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
  });
  const clone = join(folder, 'clone');
  for (const file of output.split('\n').filter((name) => name && existsSync(join(root, name)))) {
    cpSync(join(root, file), join(clone, file));
  }
  symlinkSync(join(root, 'node_modules'), join(clone, 'node_modules'), 'junction');
  return clone;
}

/** Packs in a fresh clone. The file name depends on the content, as Yarn caches tarballs by name. */
async function pack(clone) {
  const { ok, output } = await run(NPM, ['pack', '--silent', '--pack-destination', folder], { cwd: clone });
  const packed = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  if (!check('npm pack of a clean clone', ok && packed !== undefined, output))
    throw new Error('There is no tarball.');
  const hash = createHash('sha256')
    .update(readFileSync(join(folder, packed)))
    .digest('hex')
    .slice(0, 8);
  const tarball = join(folder, `nestjs-vault-${hash}.tgz`);
  renameSync(join(folder, packed), tarball);
  return tarball;
}
