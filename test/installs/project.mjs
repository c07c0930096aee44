// Scratch applications.
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from './managers.mjs';

const fixtures = fileURLToPath(new URL('fixtures/', import.meta.url));

/** Makes a scratch application; returns its folder. */
export function project(
  folder,
  { type = 'module', dependencies, devDependencies = {}, fixtures: files = [] },
) {
  mkdirSync(folder, { recursive: true });
  const manifest = {
    name: 'application',
    version: '1.0.0',
    private: true,
    type,
    dependencies,
    devDependencies,
  };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest, undefined, 2));
  for (const file of files) copyFileSync(join(fixtures, file), join(folder, file));
  return folder;
}

/** The strictest compiler options, with checks of all declarations. */
export const STRICT = [
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

/**
 * Compiles a file with all declarations of this package. Errors in the declarations of drivers and Nest do not count.
 */
export async function compile(folder, file) {
  const tsc = join(folder, 'node_modules', 'typescript', 'bin', 'tsc');
  const { output } = await run(process.execPath, [tsc, ...STRICT, '--pretty', 'false', file], {
    cwd: folder,
  });
  const ours = join('node_modules', 'nestjs-vault') + sep;
  const errors = output.split('\n').filter((line) => {
    const [, path] = /^(.+?)\(\d+,\d+\): error/.exec(line) ?? [];
    if (path === undefined) return line.startsWith('error');
    const where = relative(folder, join(folder, path));
    return where === file || where.startsWith(ours);
  });
  return { ok: errors.length === 0, output: errors.join('\n') };
}
