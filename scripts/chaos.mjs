// npm run chaos: what becomes of queries when something breaks, as a table (and JSON). About three minutes. --json <file>
// keeps the table; the rest is vitest's.
import { spawnSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureInstalled, ensurePrismaClient } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

const { values, positionals } = parseArgs({
  options: {
    json: { type: 'string' },
    testNamePattern: { type: 'string', short: 't' },
  },
  allowPositionals: true,
});
await ensureInstalled();
// Bundled with the application, though chaos does not use it.
await ensurePrismaClient();
await ensureOpenBao({ log: (line) => console.log(line) });
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
// Each of them has some applications and servers of its own.
const args = ['run', '--maxWorkers=3', ...positionals];
if (values.testNamePattern) args.push('-t', values.testNamePattern);
const { status } = spawnSync(process.execPath, [vitest, ...args], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: {
    ...process.env,
    VAULT_TEST_CHAOS: '1',
    ...(values.json && { CHAOS_JSON: resolve(values.json) }),
  },
});
process.exitCode = status ?? 1;
