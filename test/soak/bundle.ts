import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
// Vitest's own.
import { build } from 'vite';

const root = fileURLToPath(new URL('../..', import.meta.url));
const entry = fileURLToPath(new URL('application/main.ts', import.meta.url));
let bundled: Promise<string> | undefined;

/**
 * The application as one JavaScript file, made of the sources once in this process: it starts at once, many times, and
 * no compiler is in its memory. What it imports from node_modules stays there.
 */
export function bundle(): Promise<string> {
  bundled ??= make();
  return bundled;
}

async function make(): Promise<string> {
  // Below the root, where its imports are found.
  const outDir = join(root, '.cache', `soak-${process.pid}`);
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }));
  await build({
    root,
    configFile: join(root, 'vitest.config.ts'),
    logLevel: 'error',
    build: {
      ssr: entry,
      outDir,
      target: 'node20',
      minify: false,
      rolldownOptions: { output: { entryFileNames: 'main.mjs' } },
    },
  });
  return join(outDir, 'main.mjs');
}
