// npm run build: both formats, at the same time, each with its declarations; the CommonJS one is marked as such. The
// compiler is TypeScript 7, which takes a tenth of the time. `nest build` needs 6, and would write the same files.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const tsc = join(root, 'node_modules', 'typescript7', 'bin', 'tsc');

async function build(config) {
  const child = spawn(process.execPath, [tsc, '-p', config], { cwd: root, stdio: 'inherit' });
  const [status] = await once(child, 'close');
  return status;
}

rmSync(join(root, 'dist'), { recursive: true, force: true });
const statuses = await Promise.all(['tsconfig.build.json', 'tsconfig.cjs.json'].map(build));
const failed = statuses.find((status) => status !== 0);
if (failed !== undefined) process.exit(failed ?? 1);
writeFileSync(join(root, 'dist/cjs/package.json'), '{ "type": "commonjs" }\n');
// The bin. npm sets the mode of a package that it installs, not of one that it links.
chmodSync(join(root, 'dist/esm/cli/main.js'), 0o755);
