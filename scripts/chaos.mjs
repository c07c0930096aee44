// npm run test:chaos: the effect of faults on queries, as a table (and JSON). About three minutes. --json <file> writes
// the table; other arguments are passed to vitest.
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
// The bundle of the application includes it, though chaos does not use it.
await ensurePrismaClient();
await ensureOpenBao();
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
// Each file starts some applications and servers of its own.
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
