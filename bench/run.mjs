// npm run bench: ratios against peers, in one run. bench/README.md has measured figures.
import { ensureBuilt, ensureInstalled } from '../scripts/ensure-installed.mjs';

await ensureInstalled();
await ensureBuilt();
const { provision, startOpenBao, startPostgres } = await import('../test/support/servers.mjs');
const { current, kv } = await import('./kv.mjs');
const { scale } = await import('./scale.mjs');

const [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
try {
  await provision(bao, postgres, { roles: [{ name: 'bench', defaultTtl: '1h', maxTtl: '24h' }] });
  await kv(bao);
  await current(bao, 'database/creds/bench');
} finally {
  await Promise.all([bao.stop(), postgres.stop()]);
}
await scale();
