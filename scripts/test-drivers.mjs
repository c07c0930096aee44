// npm run test:drivers: the integrations with other drivers than pg. MariaDB, Redis and RabbitMQ are used if they are
// installed; a suite whose server is missing is skipped, and prints one line about it.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureBuilt, ensureInstalled, ensurePrismaClient } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
// For the simulated server of the AWS sample.
await ensureBuilt();
await ensurePrismaClient();
await ensureOpenBao();
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
// Leases of seconds, and many applications in each file: more workers would overload two cores.
const workers = process.env['CI'] ? ['--maxWorkers=2'] : [];
const { status } = spawnSync(process.execPath, [vitest, 'run', ...workers, ...process.argv.slice(2)], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: { ...process.env, VAULT_TEST_DRIVERS: '1' },
});
process.exitCode = status ?? 1;
