// npm run test:thirty-days: a month in the life of a laptop and of a server, under a virtual clock. `npm test` has the
// first days.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';

await ensureInstalled();
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', 'test/property/thirty-days', '--retry=0'], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, MONTH_DAYS: '30' },
});
process.exitCode = status ?? 1;
