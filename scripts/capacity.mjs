// npm run test:capacity: 60 processes on a three-node OpenBao and one PostgreSQL, held to the formulas of
// docs/capacity.md. See --help. Not in CI: it takes minutes, and a test of the formulas is in npm test.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
await ensureOpenBao();
const root = fileURLToPath(new URL('..', import.meta.url));
const run = (...args) =>
  spawnSync(process.execPath, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
// The processes use the package as built.
const built = run(join(root, 'scripts/build.mjs'));
process.exitCode =
  built.status ||
  (run(
    join(root, 'test/support/run-typescript.mjs'),
    join(root, 'test/capacity/main.ts'),
    ...process.argv.slice(2),
  ).status ??
    1);
