// npm run test:leaks: each object that an application can reach × each printer, with every driver whose server is
// installed. Prints the counts. Other arguments are passed to vitest.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled } from './ensure-installed.mjs';
import { ensureOpenBao } from './setup/openbao.mjs';

await ensureInstalled();
await ensureOpenBao();
const root = fileURLToPath(new URL('..', import.meta.url));
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const folder = mkdtempSync(join(tmpdir(), 'nestjs-vault-leaks-'));
const file = join(folder, 'counts');
try {
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, VAULT_TEST_LEAKS: '1', LEAKS_COUNTS: file },
  });
  process.exitCode = status ?? 1;
  const lines = existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  const counts = lines.map((line) => JSON.parse(line));
  for (const { subject, objects, printers, prints, walked } of counts)
    console.log(
      `${subject}: ${objects} objects × ${printers} printers: ${prints} prints; ${walked} objects searched`,
    );
  const sum = (key) => counts.reduce((total, one) => total + one[key], 0);
  console.log(`leaks: ${sum('objects')} objects, ${sum('prints')} prints, ${sum('walked')} objects searched`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
