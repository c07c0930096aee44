import pg from 'pg';
import { Pool } from 'undici';
import { CREATION, REVOCATION, SETUP } from '../soak/backends/postgres.js';
import { startOpenBaoCluster, type OpenBaoCluster } from '../support/cluster.mjs';
import { provision, startPostgres, type PostgresServer } from '../support/servers.mjs';

/** Milliseconds for each kind of request. */
const FOR = 6_000;
const CONCURRENT = 32;

/** Requests a second that one cluster answers. */
export interface ServerRates {
  nodes: number;
  /** Database users created by the engine, and by PostgreSQL alone. */
  issues: number;
  users: number;
  logins: number;
  leaseRenewals: number;
  tokenRenewals: number;
  reads: number;
}

export async function measureRates(progress: (line: string) => void): Promise<ServerRates[]> {
  const results: ServerRates[] = [];
  for (const nodes of [1, 3]) {
    const [cluster, postgres] = await Promise.all([startOpenBaoCluster({ nodes }), startPostgres()]);
    try {
      results.push(await ratesOf(cluster, postgres));
      progress(`${nodes} node(s): done`);
    } finally {
      await Promise.all([cluster.stop(), postgres.stop()]);
    }
  }
  return results;
}

interface Answer {
  auth?: { client_token: string };
  lease_id?: string;
}

async function ratesOf(cluster: OpenBaoCluster, postgres: PostgresServer): Promise<ServerRates> {
  await postgres.query(SETUP);
  const role = {
    name: 'app',
    defaultTtl: '1h',
    maxTtl: '24h',
    creationStatements: CREATION,
    revocationStatements: REVOCATION,
  };
  const approle = { token_ttl: '1h', token_max_ttl: '24h' };
  const { roleId, secretId } = await provision(cluster, postgres, { roles: [role], approle });
  await cluster.api('POST', 'secret/data/app', { data: { key: 'value' } });
  const pool = new Pool((await cluster.leader()).address, { connections: CONCURRENT });
  const send = async (
    method: 'GET' | 'POST',
    path: string,
    token: string,
    body?: object,
  ): Promise<Answer> => {
    const answer = await pool.request({
      method,
      path: `/v1/${path}`,
      headers: { 'X-Vault-Token': token },
      body: body ? JSON.stringify(body) : null,
    });
    const json = (await answer.body.json()) as Answer;
    if (answer.statusCode !== 200) throw new Error(`${path}: ${answer.statusCode} ${JSON.stringify(json)}`);
    return json;
  };
  const logIn = () => send('POST', 'auth/approle/login', '', { role_id: roleId, secret_id: secretId });
  const tokenOf = async () => (await logIn()).auth?.client_token ?? '';
  const database = new pg.Pool({ connectionString: postgres.connectionString, max: 4 });
  try {
    const tokens = await Promise.all(Array.from({ length: CONCURRENT }, tokenOf));
    const token = (worker: number) => tokens[worker] ?? '';
    const leases: string[][] = tokens.map(() => []);
    const issue = async (worker: number) => {
      const { lease_id: id } = await send('GET', 'database/creds/app', token(worker));
      leases[worker]?.push(id ?? '');
    };
    return {
      nodes: cluster.nodes.length,
      users: await aSecond(createUser(database)),
      logins: await aSecond(logIn),
      issues: await aSecond(issue),
      leaseRenewals: await aSecond((worker, turn) => {
        const own = leases[worker] ?? [];
        return send('POST', 'sys/leases/renew', token(worker), { lease_id: own[turn % own.length] });
      }),
      tokenRenewals: await aSecond((worker) => send('POST', 'auth/token/renew-self', token(worker), {})),
      reads: await aSecond((worker) => send('GET', 'secret/data/app', token(worker))),
    };
  } finally {
    await Promise.all([pool.destroy(), database.end()]);
  }
}

/** What the engine asks the database for, on as many connections as it opens by default. */
function createUser(database: pg.Pool): (worker: number, turn: number) => Promise<unknown> {
  return (worker, turn) =>
    database.query(
      (CREATION[0] ?? '')
        .replaceAll('{{name}}', `x-${worker}-${turn}`)
        .replaceAll('{{password}}', 'p'.repeat(20))
        .replaceAll('{{expiration}}', '2099-01-01'),
    );
}

/** Answers a second to concurrent callers, each of which waits for its answer. */
async function aSecond(work: (worker: number, turn: number) => Promise<unknown>): Promise<number> {
  const began = Date.now();
  let done = 0;
  const caller = async (worker: number) => {
    for (let turn = 0; Date.now() < began + FOR; turn++) {
      await work(worker, turn);
      done += 1;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, (_, worker) => caller(worker)));
  return Math.round((done * 1000) / (Date.now() - began));
}
