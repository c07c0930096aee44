import { setMaxListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { lifeOf, type Fleet } from '../../bench/fleet/capacity.js';
import { Limiter } from '../../lib/clock/limiter.js';
import { CREATION, REVOCATION, SETUP } from '../soak/backends/postgres.js';
import { startOpenBaoCluster, type OpenBaoCluster } from '../support/cluster.mjs';
import { provision, startPostgres, type PostgresServer } from '../support/servers.mjs';
import { audited, count, type Kind } from './audit.js';
import { FleetProcess, type ProcessConfig } from './fleet.js';
import { Sampler, type Samples } from './sampler.js';

const POLICY = `
path "database/creds/app" { capabilities = ["read"] }
path "secret/data/app" { capabilities = ["create", "update", "read"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "auth/token/renew-self" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
`;
/** Processes that start at the same time; more would wait for the processors. */
const STARTING = 4;
/** Milliseconds within which users and connections of ended processes are gone. */
const GONE_WITHIN = 30_000;
/** Every so many processes are Nest applications. */
const NEST = 6;

/** The sizes of a run. */
export interface Size {
  fleet: Fleet;
  /** Processes that a rolling restart replaces at a time. */
  batch: number;
  /** Milliseconds of observation after the leader has been restarted. */
  after: number;
}

/** One part of the run: its duration in seconds, its requests, users and connections. */
export interface Part extends Samples {
  seconds: number;
  requests: Record<Kind, number>;
}

export interface Run {
  startSeconds: number;
  steady: Part;
  deploy: Part;
  leader: Part;
  queries: number;
  failures: Record<string, number>;
  usersLeft: number;
  connectionsLeft: number;
  log: string;
}

export async function run({ fleet, batch, after }: Size, progress: (line: string) => void): Promise<Run> {
  const [cluster, postgres] = await Promise.all([startOpenBaoCluster({ audit: true }), startPostgres()]);
  const processes: FleetProcess[] = [];
  const ended = new AbortController();
  // One for each process that is to start.
  setMaxListeners(fleet.replicas, ended.signal);
  try {
    const config = await setUp(cluster, postgres, fleet);
    return await parts({
      cluster,
      postgres,
      config,
      fleet,
      batch,
      after,
      processes,
      progress,
      ended: ended.signal,
    });
  } finally {
    ended.abort();
    for (const one of processes) one.kill();
    await Promise.all([cluster.stop(), postgres.stop()]);
  }
}

async function setUp(
  cluster: OpenBaoCluster,
  postgres: PostgresServer,
  fleet: Fleet,
): Promise<ProcessConfig> {
  const { token, lease, pool, every } = fleet;
  await postgres.query(SETUP);
  const { roleId, secretId } = await provision(cluster, postgres, {
    policy: POLICY,
    roles: [
      {
        name: 'app',
        defaultTtl: `${lease.ttl}s`,
        maxTtl: `${lease.maxTtl}s`,
        creationStatements: CREATION,
        revocationStatements: REVOCATION,
      },
    ],
    approle: {
      token_ttl: `${token.ttl}s`,
      token_max_ttl: `${token.maxTtl}s`,
      token_no_default_policy: true,
    },
  });
  await cluster.api('POST', 'secret/data/app', { data: { key: 'value' } });
  const { host, port, database } = postgres;
  const transaction = pool.drain * 1000;
  return {
    vault: { address: cluster.addresses, auth: { roleId, secretId } },
    role: 'app',
    secret: 'app',
    every: every * 1000,
    pool: { host, port, database, max: pool.max, drain: 2 * transaction, application_name: 'fleet' },
    work: { pause: 1_000, transaction },
  };
}

interface World extends Size {
  cluster: OpenBaoCluster;
  postgres: PostgresServer;
  config: ProcessConfig;
  /** Those that run. */
  processes: FleetProcess[];
  /** After it no process starts. */
  ended: AbortSignal;
  progress: (line: string) => void;
}

async function parts(world: World): Promise<Run> {
  const { cluster, postgres, fleet, batch, after, processes, progress } = world;
  const sampler = new Sampler(postgres).start();
  const totals = { queries: 0, failures: {} as Record<string, number>, log: '' };
  const spans: Record<string, readonly [number, number]> = {};
  const part = async (name: string, work: () => Promise<void>) => {
    progress(`${name} …`);
    const from = Date.now();
    await work();
    spans[name] = [from, Date.now()];
    progress(`${name}: ${((Date.now() - from) / 1000).toFixed(0)} s`);
  };
  const stop = (some: readonly FleetProcess[]) =>
    Promise.all(
      some.map(async (one) => {
        const { queries, failures } = await one.stop();
        totals.queries += queries;
        for (const [code, times] of Object.entries(failures))
          totals.failures[code] = (totals.failures[code] ?? 0) + times;
        totals.log += one.log;
      }),
    );

  const life = lifeOf(fleet.token).length * 1000;
  // Evenly over one life, as a fleet at rest is: one that starts at once logs in in waves, and a border of a part cuts one.
  await part('start', () => startMany(world, fleet.replicas, life / fleet.replicas));
  await part('steady', () => sleep(life));
  await part('deploy', async () => {
    for (let replaced = 0; replaced < fleet.replicas; replaced += batch) {
      const old = processes.splice(0, batch);
      // They work until their successors do.
      await startMany(world, old.length).catch((error: unknown) => {
        processes.unshift(...old);
        throw error;
      });
      await stop(old);
    }
  });
  await part('leader', async () => {
    const leader = await cluster.leader();
    await (leader as unknown as { restart(options: { graceful: boolean }): Promise<void> }).restart({
      graceful: true,
    });
    await sleep(after);
  });
  const requests = audited(cluster);
  await part('end', async () => {
    while (processes.length > 0) await stop(processes.splice(0, batch));
  });
  const left = await untilGone(sampler);
  sampler.stop();
  const measured = (name: string): Part => {
    const [from, to] = spans[name] as [number, number];
    return {
      seconds: (to - from) / 1000,
      requests: count(requests, from, to),
      ...sampler.between(from, to),
    };
  };
  const [from, to] = spans['start'] as [number, number];
  return {
    startSeconds: (to - from) / 1000,
    steady: measured('steady'),
    deploy: measured('deploy'),
    leader: measured('leader'),
    ...totals,
    usersLeft: left.users,
    connectionsLeft: left.connections,
  };
}

/** @param apart milliseconds between two starts */
async function startMany({ config, processes, ended }: World, number: number, apart = 0): Promise<void> {
  const limiter = new Limiter(STARTING);
  const starts = Array.from({ length: number }, async (_, index) => {
    await sleep(index * apart, undefined, { signal: ended });
    await limiter.run(async () => {
      processes.push(await FleetProcess.start(config, index % NEST === 0 ? 'nest' : 'core'));
    });
  });
  await Promise.all(starts);
}

async function untilGone(sampler: Sampler): Promise<{ users: number; connections: number }> {
  const deadline = Date.now() + GONE_WITHIN;
  for (;;) {
    const now = await sampler.sample();
    if ((now.users === 0 && now.connections === 0) || Date.now() > deadline) return now;
    await sleep(500);
  }
}
