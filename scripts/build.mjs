// npm run build: both formats, each with its declarations; the CommonJS ones are marked as such. TypeScript 7 writes the
// declarations: it takes a tenth of the time of 6, which `nest build` needs. Rolldown writes the JavaScript in few files:
// an import of 250 small ones, as `nest build` writes them, takes 80 ms longer.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const tsc = join(root, 'node_modules', 'typescript7', 'bin', 'tsc');

async function declare(config) {
  const child = spawn(process.execPath, [tsc, '-p', config, '--emitDeclarationOnly'], {
    cwd: root,
    stdio: 'inherit',
  });
  const [status] = await once(child, 'close');
  if (status !== 0) process.exit(status ?? 1);
}

/** The source of each entry point of package.json, by its path below `dist/<format>`. */
function entries(format) {
  const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const targets = Object.values(exports).flatMap(
    (target) => target[format === 'esm' ? 'import' : 'require'] ?? [],
  );
  const files = targets.map((target) => target.default);
  // The bin is an ES module. The scripts of the repository read the floors of the drivers.
  if (format === 'esm') files.push(...Object.values(bin), './dist/esm/integrations/driver/floors.js');
  const names = files.map((file) => file.replace(`./dist/${format}/`, '').replace(/\.js$/, ''));
  return Object.fromEntries(names.map((name) => [name, join(root, 'lib', `${name}.ts`)]));
}

async function bundle(format) {
  const input = entries(format);
  const bundler = await rolldown({
    input,
    cwd: root,
    platform: 'node',
    // As `lib/errors/own-file.ts` says.
    ...(format === 'esm' && { transform: { define: { __filename: 'import.meta.filename' } } }),
    tsconfig: join(root, 'tsconfig.json'),
    // Everything but our own files and the helpers of decorators.
    external: /^(?!@oxc-project\/)[@a-z]/,
  });
  const { output } = await bundler.write({
    dir: join(dist, format),
    format,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name].js',
    minifyInternalExports: false,
    // As TypeScript writes CommonJS: in strict mode, and marked as a module.
    strict: format === 'cjs',
    esModule: true,
    // `import()` of an optional package: tests in jest have `require` only.
    dynamicImportInCjs: false,
    comments: { legal: true, annotation: true, jsdoc: false },
    codeSplitting: { groups: [{ name: 'core', test: CORE }] },
  });
  await bundler.close();
  for (const { fileName, code } of output) writeFileSync(join(dist, format, fileName), inAscii(code));
  // Messages print the names of classes; rolldown writes `var Name = class`.
  const renamed = output.flatMap(
    ({ code = '' }) => code.match(/\b(?:\w+\$\d+ = class|class \w+\$\d+)\b/g) ?? [],
  );
  if (renamed.length > 0) throw new Error(`Two classes have one name: ${renamed.join(', ')}.`);
}

/** The same program in ASCII. With one other character, V8 keeps the whole file in two bytes each. */
function inAscii(code) {
  return code.replace(/[^\0-\x7F]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** All rooms that know no Nest, and that `nestjs-vault/core` loads. */
const CORE =
  /\/lib\/(?:clock|errors|retry|secret|events|schema|client|lifetime|auth|engines|config|session|leases|connection|services)\//;

rmSync(dist, { recursive: true, force: true });
await Promise.all([
  declare('tsconfig.build.json'),
  declare('tsconfig.cjs.json'),
  bundle('esm'),
  bundle('cjs'),
]);
writeFileSync(join(dist, 'cjs/package.json'), '{ "type": "commonjs" }\n');
// The bin. npm sets the mode of a package that it installs, not of one that it links.
chmodSync(join(dist, 'esm/cli/main.js'), 0o755);
