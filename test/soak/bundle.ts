import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
// Vitest's own.
import { build } from 'vite';

const root = fileURLToPath(new URL('../..', import.meta.url));
const entry = fileURLToPath(new URL('application/main.ts', import.meta.url));
let bundled: Promise<string> | undefined;

// Below the root, where its imports are found.
const cache = join(root, '.cache');
const PREFIX = 'soak-';

/**
 * The application as one JavaScript file, made of the sources once in this process: it starts at once, many times, and
 * no compiler is in its memory. What it imports from node_modules stays there.
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

/** Workers of vitest are killed, and leave theirs behind for whoever comes next. */
function removeStale(): void {
  for (const name of existsSync(cache) ? readdirSync(cache) : []) {
    if (name.startsWith(PREFIX) && !runs(Number(name.slice(PREFIX.length)))) remove(join(cache, name));
  }
}

function runs(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    // It is somebody else's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function remove(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}
