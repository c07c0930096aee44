// npm run test:starvation: hanging neighbours of each kind, and a healthy lease that must survive. --short: 20 s, not
// 60.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
await ensureOpenBao();
const root = fileURLToPath(new URL('..', import.meta.url));
const file = (path) => join(root, path);
const { status } = spawnSync(
  process.execPath,
  [file('test/support/run-typescript.mjs'), file('test/starvation/main.ts'), ...process.argv.slice(2)],
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
process.exitCode = status ?? 1;
