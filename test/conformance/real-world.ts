import pg from 'pg';
import { appRole } from '../../lib/index.js';
import { HttpProxy, answer, type MutualTls } from '../support/http-proxy.js';
import {
  provision,
  startOpenBao,
  startPostgres,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';
import { live } from './life.js';
import type { Life, World, Worlds } from './world.js';

const STEP = 50;
/** No GRANT and no REVOKE: concurrent ones collide in PostgreSQL's catalogue, and no rule needs a table. */
const CREATE = [`CREATE ROLE "{{name}}" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}'`];
const REVOKE = ['DROP ROLE IF EXISTS "{{name}}"'];
const sleep = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

/**
 * Real servers (OpenBao or the server in VAULT_BIN, and PostgreSQL) in real time.
 *
 * @param options `tls` for client certificates; the binary instead of that in VAULT_BIN
 */
export async function realWorlds({ tls, bin }: { tls?: MutualTls; bin?: string } = {}): Promise<Worlds> {
  const server = { ...(bin && { bin }), ...(tls && { tls: { ...tls.server, caFile: tls.caFile } }) };
  const [bao, postgres] = await Promise.all([startOpenBao(server), startPostgres()]);
  let count = 0;
  // Each world sets up the engine, and the server refuses to do that twice at a time.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn: InTurn = (work) => {
    const mine = turn.then(work);
    turn = mine.catch(() => undefined);
    return mine;
  };
  return {
    open: () => realWorld(bao, postgres, `app-${++count}`, inTurn, tls),
    stop: async () => void (await Promise.all([bao.stop(), postgres.stop()])),
  };
}

type InTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** Roles and a policy of its own on shared servers, behind a proxy. */
async function realWorld(
  bao: OpenBaoServer,
  postgres: PostgresServer,
  name: string,
  inTurn: InTurn,
  tls: MutualTls | undefined,
): Promise<World> {
  const proxy = await HttpProxy.start(bao.address, tls);
  const lives = new Set<Life>();
  const credentials = `database/creds/${name}`;
  const path = (url: string) => url.replace(/^\/v1\//, '').replace(/\?.*/, '');
  const api: World['operator']['api'] = async (method, apiPath, sent, { token, wrapTtl } = {}) => {
    for (let tries = 1; ; tries++) {
      const { status, body } = await bao.api(method, apiPath, sent, {
        ...(token && { token }),
        ...(wrapTtl && { headers: { 'x-vault-wrap-ttl': wrapTtl } }),
      });
      if (status < 300) return body;
      const text = JSON.stringify(body);
      // The storage of a busy server refuses one of two simultaneous changes.
      if (tries < 3 && /transaction commit failed/.test(text)) continue;
      throw new Error(`${method} ${apiPath}: ${status} ${text}`);
    }
  };

  let canned = false;
  const network: World['network'] = {
    answer(pattern, status, body, headers) {
      canned = true;
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
    hang(pattern) {
      proxy.fault = (request) => pattern.test(path(request.url ?? ''));
    },
    delay(pattern, milliseconds) {
      proxy.fault = async (request) => {
        if (!pattern.test(path(request.url ?? ''))) return false;
        await sleep(milliseconds);
        return request.socket.destroyed;
      };
    },
    restore() {
      proxy.fault = undefined;
      proxy.dropAnswer = undefined;
    },
  };

  return {
    name,
    path: credentials,
    advance: sleep,
    settled: (work) => work,
    async until(holds, limit) {
      for (const end = performance.now() + limit; !holds(); await sleep(STEP)) {
        if (performance.now() > end) throw new Error(`did not come true within ${limit} ms`);
      }
    },
    async start({ role, login = {}, options, watch = true }) {
      const { roleId, secretId } = await inTurn(() =>
        provision(bao, postgres, {
          roles: [
            {
              name,
              defaultTtl: `${role.ttl}s`,
              maxTtl: `${role.maxTtl}s`,
              creationStatements: CREATE,
              revocationStatements: REVOKE,
            },
          ],
          approleName: name,
          policy: [
            credentials,
            `${credentials}-*`,
            `database/static-creds/${name}-fixed`,
            `secret/data/${name}`,
          ]
            .map((granted) => `path "${granted}" { capabilities = ["read"] }`)
            .join('\n'),
          approle: {
            token_ttl: `${login.ttl ?? 0}s`,
            token_max_ttl: `${login.maxTtl ?? 0}s`,
            token_period: `${login.period ?? 0}s`,
            token_explicit_max_ttl: `${login.explicitMaxTtl ?? 0}s`,
            token_num_uses: login.uses ?? 0,
            token_type: login.type ?? 'service',
          },
        }),
      );
      const life = await live(
        { address: proxy.address, auth: appRole({ roleId, secretId }), ...options },
        watch ? credentials : undefined,
      );
      lives.add(life);
      return life;
    },
    requests: (pattern = /./) =>
      proxy.seen
        .map(({ method, url, body, at, status }) => ({
          method,
          path: path(url),
          body,
          at,
          answered: status !== undefined,
        }))
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
      revokeLeases: async () => void (await api('PUT', `sys/leases/revoke-prefix/${credentials}`, {})),
      async revokeTokens() {
        const { data } = await api('LIST', 'auth/token/accessors');
        for (const accessor of data.keys as string[]) {
          const { status, body } = await bao.api('POST', 'auth/token/lookup-accessor', { accessor });
          if (status === 200 && body.data.meta?.role_name === name) {
            await api('POST', 'auth/token/revoke-accessor', { accessor });
          }
        }
      },
      api,
      async staticRole(rotationSeconds) {
        const username = `fixed_${name.replaceAll('-', '_')}`;
        await postgres.query(`create role ${username} with login`);
        const settings = { db_name: 'postgres', username, rotation_period: `${rotationSeconds}s` };
        await inTurn(() => api('POST', `database/static-roles/${name}-fixed`, settings));
        return `database/static-creds/${name}-fixed`;
      },
    },
    network,
    get canned() {
      return canned;
    },
    async close() {
      network.restore();
      await Promise.all([...lives].map(({ connection }) => connection.close()));
      await proxy.stop();
    },
  };
}
