// Prometheus as installed on this machine, in a folder of its own and under a keeper, as in servers.mjs.
import { existsSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cleanEnv, HOST, Keeper, makeTempDir, running, untilReady, withPort } from './servers.mjs';

const NAMES = ['prometheus', 'promtool'];

/** The paths of `prometheus` and `promtool`: in PROMETHEUS_BIN_DIR, or on the PATH. */
export function prometheusAvailable() {
  const { PROMETHEUS_BIN_DIR: own, PATH = '' } = process.env;
  const folders = own ? [own] : PATH.split(delimiter);
  const [server, tool] = NAMES.map((name) => folders.map((folder) => join(folder, name)).find(existsSync));
  if (server && tool) return { ok: true, server, tool };
  return {
    ok: false,
    reason: 'no prometheus here: install it (Debian: apt install prometheus), or set PROMETHEUS_BIN_DIR.',
  };
}

export async function startPrometheus({ config, rules, port }) {
  const available = prometheusAvailable();
  if (!available.ok) throw new Error(available.reason);
  return withPort(port, (chosen) => launch(available.server, config, rules, chosen));
}

async function launch(command, config, rules, port) {
  const home = makeTempDir('prometheus');
  const keeper = new Keeper(home);
  const address = `http://${HOST}:${port}`;
  writeFileSync(join(home, 'prometheus.yml'), config);
  writeFileSync(join(home, 'alerts.yml'), rules);

  const get = async (path) => {
    const response = await fetch(`${address}/api/v1/${path}`, { signal: AbortSignal.timeout(60_000) });
    const { status, data, error } = await response.json();
    if (status !== 'success') throw new Error(`Prometheus: ${error}`);
    return data;
  };
  const start = async () => {
    const args = [
      `--config.file=${join(home, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(home, 'data')}`,
      `--web.listen-address=${HOST}:${port}`,
    ];
    await keeper.run({ command, args, options: { cwd: home, env: cleanEnv(/^$/) }, stopSignal: 'SIGTERM' });
    await untilReady('prometheus', keeper, async () => (await fetch(`${address}/-/ready`)).ok);
  };
  try {
    await start();
  } catch (error) {
    await keeper.end();
    throw error;
  }
  return running(keeper, start, {
    port,
    address,
    query: async (expr) => (await get(`query?query=${encodeURIComponent(expr)}`)).result,
    alerts: async () => (await get('alerts')).alerts,
    names: () => get('label/__name__/values'),
  });
}
