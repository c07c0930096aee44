import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const bin = join(root, 'dist/esm/cli/main.js');

/**
 * The bin of the package, as built; a process of its own loads modules as users' processes do. `npm test` has built it
 * before; otherwise it is built here if a source is newer.
 */
export function builtBin(): string {
  const newest = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' })
    .map((name) => statSync(join(root, 'lib', name)).mtimeMs)
    .reduce((one, other) => Math.max(one, other), 0);
  if (!existsSync(bin) || statSync(bin).mtimeMs < newest)
    execFileSync(process.execPath, [join(root, 'scripts/build.mjs')], { cwd: root, stdio: 'ignore' });
  return bin;
}
