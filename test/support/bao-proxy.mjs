// `bao proxy` (or `vault proxy`) with its cache, in front of a server; under a keeper, as in servers.mjs.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureOpenBao } from '../../scripts/setup/openbao.mjs';
import { cleanEnv, HOST, Keeper, makeTempDir, request, untilReady, withPort } from './servers.mjs';

export async function startBaoProxy(server) {
  const bin = await ensureOpenBao({ log: console.error });
  return withPort(undefined, (port) => launch(bin, server, port));
}

async function launch(bin, server, port) {
  const home = makeTempDir('proxy');
  const keeper = new Keeper(home);
  try {
    const address = `http://${HOST}:${port}`;
    const config = join(home, 'proxy.hcl');
    writeFileSync(
      config,
      `vault { address = "${server.address}" }
       cache {}
       listener "tcp" {
         address = "${HOST}:${port}"
         tls_disable = true
       }`,
    );
    await keeper.run({
      command: bin,
      args: ['proxy', `-config=${config}`],
      options: { cwd: home, env: cleanEnv(/^(BAO|VAULT)_/i, { HOME: home, USERPROFILE: home }) },
      stopSignal: 'SIGTERM',
    });
    await untilReady('the proxy', keeper, async () => {
      const { status } = await request(`${address}/v1/sys/health`, { method: 'GET', timeout: 2_000 });
      return status === 200;
    });
    return { address, stop: () => keeper.end() };
  } catch (error) {
    await keeper.end();
    throw error;
  }
}
