// Scratch applications.
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
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
 * Compiles files with all declarations of this package. Errors in the declarations of drivers and Nest do not count.
 */
export async function compile(folder, ...files) {
  const tsc = join(folder, 'node_modules', 'typescript', 'bin', 'tsc');
  const { output } = await run(process.execPath, [tsc, ...STRICT, '--pretty', 'false', ...files], {
    cwd: folder,
  });
  const ours = join('node_modules', 'nestjs-vault') + sep;
  const errors = output.split('\n').filter((line) => {
    const [, path] = /^(.+?)\(\d+,\d+\): error/.exec(line) ?? [];
    if (path === undefined) return line.startsWith('error');
    const where = relative(folder, join(folder, path));
    return files.includes(where) || where.startsWith(ours);
  });
  return { ok: errors.length === 0, output: errors.join('\n') };
}

/** The program of a source, for a format of modules: `ESNext` or `CommonJS`. */
export function transpiled(text, module) {
  const compilerOptions = {
    module: ts.ModuleKind[module],
    target: ts.ScriptTarget.ES2022,
    esModuleInterop: true,
    experimentalDecorators: true,
    emitDecoratorMetadata: true,
  };
  return ts.transpileModule(text, { compilerOptions }).outputText;
}

/** Writes a file, and the folders on its way; a script can be run. */
export function put(folder, name, text) {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  if (text.startsWith('#!')) chmodSync(path, 0o755);
}
