// `bao proxy` in front of a server, with its cache or with a token of its own; under a keeper, as in servers.mjs.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureOpenBao } from '../../scripts/setup/openbao.mjs';
import { cleanEnv, HOST, Keeper, makeTempDir, request, untilReady, withPort } from './servers.mjs';

export async function startBaoProxy(server, role) {
  const bin = await ensureOpenBao();
  return withPort(undefined, (port) => launch(bin, server, port, role));
}

async function launch(bin, server, port, role) {
  const home = makeTempDir('proxy');
  const keeper = new Keeper(home);
  try {
    const address = `http://${HOST}:${port}`;
    const socket = join(home, 'proxy.sock');
    const config = join(home, 'proxy.hcl');
    writeFileSync(
      config,
      `vault { address = "${server.address}" }
       ${role ? authenticating(home, role) : 'cache {}'}
       listener "tcp" {
         address = "${HOST}:${port}"
         tls_disable = true
         require_request_header = ${role !== undefined}
       }
       listener "unix" {
         address = "${socket}"
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
      const { status } = await request(`${address}/v1/sys/health`, {
        method: 'GET',
        timeout: 2_000,
        headers: { 'X-Vault-Request': 'true' },
      });
      return status === 200;
    });
    return { address, unixAddress: `unix://${socket}`, stop: () => keeper.end() };
  } catch (error) {
    await keeper.end();
    throw error;
  }
}

/** The proxy logs in by AppRole, and attaches its token to each request that has none. */
function authenticating(home, { roleId, secretId }) {
  const [role, secret] = [join(home, 'role-id'), join(home, 'secret-id')];
  writeFileSync(role, roleId);
  writeFileSync(secret, secretId);
  return `
    auto_auth {
      method "approle" {
        config = {
          role_id_file_path = "${role}"
          secret_id_file_path = "${secret}"
          remove_secret_id_file_after_reading = false
        }
      }
    }
    api_proxy { use_auto_auth_token = true }`;
}
