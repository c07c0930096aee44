// npm run test:operated: each alert by its real fault, with its runbook; or an hour without a fault. See --help.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, ensurePrismaClient } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
// The application is that of the soak test, with all its variants.
await ensurePrismaClient();
await ensureOpenBao({ log: (line) => console.error(line) });
const root = fileURLToPath(new URL('..', import.meta.url));
const file = (path) => join(root, path);
const { status } = spawnSync(
  process.execPath,
  [file('test/support/run-typescript.mjs'), file('test/operated/main.ts'), ...process.argv.slice(2)],
  // The caller's working directory, for the path of --log.
  { stdio: ['ignore', 'inherit', 'inherit'] },
);
process.exitCode = status ?? 1;
