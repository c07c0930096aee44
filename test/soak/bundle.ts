import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
// Vitest depends on vite.
import { build } from 'vite';

const root = fileURLToPath(new URL('../..', import.meta.url));
const entry = fileURLToPath(new URL('application/main.ts', import.meta.url));
let bundled: Promise<string> | undefined;

// Below the root, so that its imports resolve.
const cache = join(root, '.cache');
const PREFIX = 'soak-';

/**
 * The application as one JavaScript file, built from the sources once in this process: it starts fast, many times, and
 * has no compiler in its memory. Packages of node_modules are not bundled.
 */
export function bundle(): Promise<string> {
  bundled ??= make();
  return bundled;
}

async function make(): Promise<string> {
  removeStale();
  const outDir = join(cache, `${PREFIX}${process.pid}`);
  process.once('exit', () => remove(outDir));
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

/** Removes bundles left by killed workers of vitest. */
function removeStale(): void {
  for (const name of existsSync(cache) ? readdirSync(cache) : []) {
    if (name.startsWith(PREFIX) && !runs(Number(name.slice(PREFIX.length)))) remove(join(cache, name));
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // The process exists, but belongs to another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
