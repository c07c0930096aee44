// The package where the private copies of node-vault and undici cannot be made (another source, none, in a bundle), and where its
// files are removed below the running process, as a deployment does.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { rolldown } from 'rolldown';
import { startStub } from './stub.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '../..');
const installed = join(root, 'node_modules');
const scratch = mkdtempSync(join(tmpdir(), 'nestjs-vault-moved-'));
const program = readFileSync(join(here, 'small.mjs'), 'utf8');
const PROGRAMS = {
  'small.mjs': program,
  'small.cjs': program.replace(/^import (.*) from (.*);$/gm, 'const $1 = require($2);'),
};
const WITH_AXIOS = ['axios', 'debug', 'mustache', 'tv4'];
const stub = await startStub();

/** A folder with the programs and copies of the package and of what it needs; other packages are linked. */
function folderOf(name, { copied = [], linked = [] }) {
  const modules = join(scratch, name, 'node_modules');
  mkdirSync(join(modules, 'nestjs-vault'), { recursive: true });
  for (const [file, text] of Object.entries(PROGRAMS)) writeFileSync(join(scratch, name, file), text);
  for (const part of ['dist', 'package.json'])
    cpSync(join(root, part), join(modules, 'nestjs-vault', part), { recursive: true });
  for (const one of copied) cpSync(join(installed, one), join(modules, one), { recursive: true });
  for (const one of ['rxjs', ...linked]) symlinkSync(join(installed, one), join(modules, one), 'junction');
  return modules;
}

/** @returns its output; it has revoked its tokens */
async function run(file, ...args) {
  const { stdout } = await promisify(execFile)(process.execPath, [file, stub.address, ...args], {
    cwd: dirname(file),
  });
  assert.deepEqual([...stub.alive], [], `${file}: ${stdout}`);
  return stdout.trim();
}

async function bundle(format) {
  const folder = folderOf(`bundle-${format}`, { copied: ['undici', 'node-vault'], linked: WITH_AXIOS });
  const bundler = await rolldown({
    input: join(folder, '..', 'small.mjs'),
    platform: 'node',
    logLevel: 'silent',
    external: /^(?:class-|@aws|@smithy|google-auth)/,
  });
  const file = join(scratch, `alone-${format}`, format === 'esm' ? 'main.mjs' : 'main.cjs');
  await bundler.write({ file, format, codeSplitting: false });
  await bundler.close();
  return file;
}

try {
  for (const [file, format] of [
    ['small.mjs', 'esm'],
    ['small.cjs', 'cjs'],
  ]) {
    for (const ending of ['close', 'exit']) {
      const modules = folderOf(`removed-${format}-${ending}`, { copied: ['undici', 'node-vault'] });
      assert.equal(await run(join(modules, '..', file), ending, modules), 'key u whole: none');
    }
    const altered = folderOf(`altered-${format}`, { copied: ['undici', 'node-vault'], linked: WITH_AXIOS });
    const source = join(altered, 'node-vault', 'src', 'index.js');
    writeFileSync(source, `${readFileSync(source, 'utf8')}// Another version.\n`);
    assert.equal(await run(join(altered, '..', file), 'close'), 'key u whole: axios');

    const newer = folderOf(`newer-${format}`, { copied: ['undici', 'node-vault'] });
    const manifest = join(newer, 'undici', 'package.json');
    const { version, ...rest } = JSON.parse(readFileSync(manifest, 'utf8'));
    writeFileSync(manifest, JSON.stringify({ ...rest, version: `${version}-next` }));
    assert.equal(await run(join(newer, '..', file), 'close'), 'key u whole: undici');

    for (const [missing, present] of [
      ['node-vault', 'undici'],
      ['undici', 'node-vault'],
    ]) {
      const without = folderOf(`without-${missing}-${format}`, { linked: [present] });
      const output = await run(join(without, '..', file), 'close');
      assert.ok(output.startsWith(`VAULT_CONFIG_INVALID The package ${missing} cannot be loaded`), output);
    }

    assert.equal(await run(await bundle(format), 'close'), 'key u whole: none');
  }
  console.log('ok: moved');
} finally {
  stub.server.close();
  rmSync(scratch, { recursive: true, force: true });
}
