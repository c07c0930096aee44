// npm run typecheck: the types of the sources, and of the snippets of all pages. A fault in a snippet is shown with its
// page and line. The compiler is TypeScript 7, which takes a quarter of the time; its API, which other tools use, is
// that of 6.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, ensurePrismaClient } from './ensure-installed.mjs';

await ensureInstalled();
await ensurePrismaClient();
const { asPages, writeSnippets } = await import('../test/snippets/snippets.mjs');
const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = join(root, 'node_modules', 'typescript7', 'bin', 'tsc');

const written = writeSnippets();
const { status, stdout } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.check.json'], {
  cwd: root,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
});
process.stdout.write(asPages(stdout));
console.log(`${written} snippets of the pages were compiled with the sources`);
process.exitCode = status ?? 1;
