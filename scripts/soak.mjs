// npm run test:soak: rotation under load, with the results as a table (and JSON). See --help.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, ensurePrismaClient } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
await ensurePrismaClient();
await ensureOpenBao();
const root = fileURLToPath(new URL('..', import.meta.url));
const file = (path) => join(root, path);
const { status } = spawnSync(
  process.execPath,
  [file('test/support/run-typescript.mjs'), file('test/soak/main.ts'), ...process.argv.slice(2)],
  // The caller's working directory, for the path of --json.
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
process.exitCode = status ?? 1;
