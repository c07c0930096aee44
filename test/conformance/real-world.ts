import pg from 'pg';
import { appRole } from '../../lib/index.js';
import { HttpProxy, answer } from '../support/http-proxy.js';
import { provision, startOpenBao, startPostgres } from '../support/servers.mjs';
import { live, POLICY } from './life.js';
import { ROLE, type Life, type World } from './world.js';

const STEP = 50;
const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/** A real server (OpenBao, or what VAULT_BIN names), a real PostgreSQL and a proxy in between; time is real. */
export async function realWorld(): Promise<World> {
  const [bao, postgres] = await Promise.all([startOpenBao(), startPostgres()]);
  const proxy = await HttpProxy.start(bao.address);
  const lives = new Set<Life>();
  const { body: original } = await bao.api('GET', 'sys/policies/acl/default');
  const path = (url: string) => url.replace(/^\/v1\//, '').replace(/\?.*/, '');
  const ok = async (...call: Parameters<typeof bao.api>) => {
    const { status, body } = await bao.api(...call);
    if (status >= 300) throw new Error(`${call[0]} ${call[1]}: ${status} ${JSON.stringify(body)}`);
    return body;
  };

  const network: World['network'] = {
    answer(pattern, status, body, headers) {
      proxy.fault = (request, response) =>
        pattern.test(path(request.url ?? '')) && answer(response, status, body, headers);
    },
    loseAnswer(pattern) {
      proxy.dropAnswer = (request) => {
        const hit = pattern.test(path(request.url ?? ''));
        if (hit) proxy.dropAnswer = undefined;
        return hit;
      };
    },
    cut(pattern = /./) {
      proxy.fault = (request, response) => {
        if (!pattern.test(path(request.url ?? ''))) return false;
        response.destroy();
        return true;
      };
    },
    restore() {
      proxy.fault = undefined;
      proxy.dropAnswer = undefined;
    },
  };

  return {
    name: bao.kind,
    now: () => performance.now(),
    advance: sleep,
    async until(holds, limit) {
      for (const end = performance.now() + limit; !holds(); await sleep(STEP)) {
        if (performance.now() > end) throw new Error(`did not come true within ${limit} ms`);
      }
    },
    async start({ role, login = {}, options, watch = true }) {
      const { roleId, secretId } = await provision(bao, postgres, {
        roles: [{ name: ROLE, defaultTtl: `${role.ttl}s`, maxTtl: `${role.maxTtl}s` }],
        policy: POLICY,
        approle: {
          token_ttl: `${login.ttl ?? 0}s`,
          token_max_ttl: `${login.maxTtl ?? 0}s`,
          token_period: `${login.period ?? 0}s`,
          token_num_uses: login.uses ?? 0,
          token_type: login.type ?? 'service',
        },
      });
      const life = await live(
        { address: proxy.address, auth: appRole({ roleId, secretId }), ...options },
        watch,
      );
      lives.add(life);
      return life;
    },
    requests: (pattern = /./) =>
      proxy.seen
        .map(({ method, url, body }) => ({ method, path: path(url), body }))
        .filter((request) => pattern.test(request.path)),
    clear: () => proxy.clear(),
    async isValid({ data }) {
      const { username: user, password } = data.reveal();
      const { host, port, database } = postgres;
      const client = new pg.Client({ host, port, database, user, password });
      try {
        await client.connect();
        await client.query('select 1');
        return true;
      } catch {
        return false;
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    operator: {
      revokeLeases: async () => void (await ok('PUT', `sys/leases/revoke-prefix/database/creds/${ROLE}`, {})),
      async revokeTokens() {
        const { data } = await ok('LIST', 'auth/token/accessors');
        for (const accessor of data.keys as string[]) {
          const { status, body } = await bao.api('POST', 'auth/token/lookup-accessor', { accessor });
          if (status === 200 && body.data.path === 'auth/approle/login') {
            await ok('POST', 'auth/token/revoke-accessor', { accessor });
          }
        }
      },
      async setRole({ ttl, maxTtl }) {
        const { data } = await ok('GET', `database/roles/${ROLE}`);
        await ok('POST', `database/roles/${ROLE}`, {
          ...data,
          default_ttl: `${ttl}s`,
          max_ttl: `${maxTtl}s`,
        });
      },
      setPolicy: async (policy) => void (await ok('PUT', 'sys/policies/acl/app', { policy })),
      setDefaultPolicy: async (policy) => void (await ok('PUT', 'sys/policies/acl/default', { policy })),
      deleteLoginRole: async () => void (await ok('DELETE', 'auth/approle/role/app')),
    },
    network,
    async reset() {
      network.restore();
      await Promise.all([...lives].map(({ connection }) => connection.close()));
      lives.clear();
      await ok('PUT', 'sys/policies/acl/default', { policy: original.data.policy });
      proxy.clear();
    },
    async stop() {
      await Promise.all([proxy.stop(), bao.stop(), postgres.stop()]);
    },
  };
}
