// Builds both formats with `nest build`, at the same time, and marks the CommonJS one as such.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const nest = join(dirname(require.resolve('@nestjs/cli/package.json')), 'bin', 'nest.js');

async function build(config) {
  const child = spawn(process.execPath, [nest, 'build', '--path', config], { cwd: root, stdio: 'inherit' });
  const [status] = await once(child, 'close');
  return status;
}

rmSync(join(root, 'dist'), { recursive: true, force: true });
const statuses = await Promise.all(['tsconfig.build.json', 'tsconfig.cjs.json'].map(build));
const failed = statuses.find((status) => status !== 0);
if (failed !== undefined) process.exit(failed ?? 1);
writeFileSync(join(root, 'dist/cjs/package.json'), '{ "type": "commonjs" }\n');
