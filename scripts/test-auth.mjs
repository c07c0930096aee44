// npm run test:auth: the contract of auth methods on a real server, and logins under load while their inputs are
// replaced. It runs on OpenBao, or on the server in VAULT_BIN with the methods that it has.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';
import { ensureHvac } from './setup/hvac.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
await ensureOpenBao();
const hvac = await ensureHvac().catch((error) => console.log(`Without hvac: ${error.message}`));
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
// Tokens of seconds: more files at a time would overload two cores.
const { status } = spawnSync(process.execPath, [vitest, 'run', '--maxWorkers=2', ...process.argv.slice(2)], {
  cwd: root,
  stdio: ['ignore', 'inherit', 'inherit'],
  env: {
    ...process.env,
    VAULT_TEST_AUTH: '1',
    ...(hvac && { VAULT_TEST_HVAC: hvac }),
    // The table has the simulated servers, too.
    ...(process.env['AUTH_TABLE'] && { VAULT_TEST_WITH: 'test/auth/contract/**/*.spec.ts' }),
  },
});
process.exitCode = status ?? 1;
