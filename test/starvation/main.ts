import { createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { appRole } from '../../lib/auth/app-role.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { VaultError } from '../../lib/errors/vault-error.js';
import { EventBus, type VaultEvent } from '../../lib/events/events.js';
import { HttpProxy } from '../support/http-proxy.js';
import { provision, startOpenBao, startPostgres } from '../support/servers.mjs';

const NEIGHBOURS = 200;
const HEALTHY = 'database/creds/healthy';

/** Counts of the calls of each kind of neighbour, and of their results. */
class Tally {
  readonly #kinds = new Map<string, Map<string, number>>();

  count(kind: string, outcome: string): void {
    const outcomes = this.#kinds.get(kind) ?? new Map<string, number>();
    this.#kinds.set(kind, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1));
  }

  lines(): string[] {
    return [...this.#kinds].map(
      ([kind, outcomes]) =>
        `  ${kind}: ${[...outcomes].map(([name, count]) => `${name} ${count}`).join(', ')}`,
    );
  }
}

/** A database that accepts connections and never answers. */
async function blackHole(): Promise<{ port: number; stop: () => void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => sockets.add(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    for (const socket of sockets) socket.destroy();
    server.close();
  };
  return { port: (server.address() as AddressInfo).port, stop };
}

/** 200 neighbours of each kind hang at once on a real server; a healthy lease of 6 s must survive. */
export async function main(): Promise<void> {
  const seconds = process.argv.includes('--short') ? 20 : 60;
  const [bao, postgres, hole] = await Promise.all([startOpenBao(), startPostgres(), blackHole()]);
  const proxy = await HttpProxy.start(bao.address);
  try {
    const role = await provision(bao, postgres, {
      roles: [{ name: 'healthy', defaultTtl: '6s', maxTtl: '20s' }],
      policy: 'path "*" { capabilities = ["create", "read", "update", "delete", "list"] }',
      approle: { token_ttl: '10s', token_max_ttl: '40s' },
    });
    await bao.api('POST', 'sys/mounts/hole', { type: 'database' });
    await bao.api('POST', 'hole/config/hole', {
      plugin_name: 'postgresql-database-plugin',
      connection_url: `postgresql://{{username}}:{{password}}@127.0.0.1:${hole.port}/x?sslmode=disable`,
      username: 'u',
      password: 'p',
      allowed_roles: ['*'],
      verify_connection: false,
    });
    for (let index = 0; index < NEIGHBOURS; index++)
      await bao.api('POST', `hole/roles/r${index}`, { db_name: 'hole', creation_statements: ['SELECT 1'] });
    process.exitCode = (await run(seconds, proxy, role, postgres)) ? 0 : 1;
  } finally {
    await proxy.stop();
    hole.stop();
    await Promise.all([bao.stop(), postgres.stop()]);
  }
}

async function run(
  seconds: number,
  proxy: HttpProxy,
  role: { roleId: string; secretId: string },
  postgres: { host: string; port: number; database: string },
): Promise<boolean> {
  proxy.fault = (request, response) => {
    const { url = '' } = request;
    if (url.includes('late'))
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"data":');
    return /slow|late/.test(url);
  };
  const bus = new EventBus();
  const events: VaultEvent[] = [];
  bus.events$.subscribe((event) => events.push(event));
  const connection = new VaultConnection(
    resolveOptions({ address: proxy.address, auth: appRole(role) }),
    bus,
  );
  await connection.login();
  type User = { username: string; password: string };
  await connection.leases.get(HEALTHY);
  const tally = new Tally();
  let over = false;
  const again = (kind: string, ask: () => Promise<unknown>) =>
    void (async () => {
      while (!over) {
        const error: unknown = await ask().then(
          () => undefined,
          (reason: unknown) => reason,
        );
        tally.count(
          kind,
          error instanceof VaultError ? error.code : error === undefined ? 'answered' : 'no VaultError',
        );
        // A loop of immediate refusals would leave no time for anything else.
        if (error instanceof VaultError && error.code === 'VAULT_REQUEST_INVALID') await sleep(1_000);
      }
    })();
  const { client, leases, secrets } = connection;
  for (let index = 0; index < NEIGHBOURS; index++) {
    again('reads', () => client.read('kv1/slow'));
    again('lists', () => client.list('kv1/slow'));
    again('writes', () => client.write('kv1/slow', { a: 1 }));
    again('slow bodies', () => client.read('kv1/late'));
    again('aborted after 2 s', () => client.read('kv1/slow', { timeout: 2_000 }));
    again('cannot be sent', () => client.read('kv1/x', { headers: { 'transfer-encoding': 'chunked' } }));
    secrets
      .watch(`slow-${index}`, { every: 1_000 })
      .subscribe({ error: () => tally.count('KV watches', 'ended') });
    leases.watch(`hole/creds/r${index}`, true).subscribe({ error: () => tally.count('issues', 'ended') });
  }
  let [good, bad] = [0, 0];
  for (const end = performance.now() + seconds * 1_000; performance.now() < end; await sleep(500)) {
    const user = leases.current<User>(HEALTHY)?.data.reveal();
    const login = new pg.Client({ ...postgres, user: user?.username, password: user?.password });
    const worked =
      user !== undefined &&
      (await login.connect().then(
        () => true,
        () => false,
      ));
    await login.end().catch(() => undefined);
    if (worked) good++;
    else bad++;
  }
  over = true;
  const of = (type: VaultEvent['type'], path = HEALTHY) =>
    events.filter((event) => event.type === type && (path === '' || ('path' in event && event.path === path)))
      .length;
  const failed = events.filter(
    ({ type }) => type === 'rotation-failed' || type === 'secret-read-failed',
  ).length;
  await connection.close();
  console.log(`${NEIGHBOURS} hanging neighbours of each of 8 kinds at once, for ${seconds} s:`);
  for (const line of tally.lines()) console.log(line);
  console.log(`  issues and KV watches: failed ${failed}`);
  console.log(
    `The healthy lease of 6 s: renewed ${of('renewed')}, rotated ${of('rotated')}, expired ${of('expired')}; ` +
      `token renewed ${of('token-renewed', '')}, logins ${of('login', '')}; in PostgreSQL ${good} good, ${bad} failed.`,
  );
  return of('expired') === 0 && bad === 0 && of('renewed') > 0;
}
