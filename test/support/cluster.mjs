// OpenBao nodes with integrated storage (raft) that form one cluster, each under a keeper of its own. They are sealed
// with one key share, so that a test can seal and unseal them; a restarted node is unsealed, too.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ensureOpenBao } from '../../scripts/setup/openbao.mjs';
import {
  cleanEnv,
  expectOk,
  freePort,
  HOST,
  Keeper,
  makeTempDir,
  mount,
  request,
  untilReady,
} from './servers.mjs';

const LEADER_TIMEOUT_MS = 30_000;
const VOTERS_TIMEOUT_MS = 30_000;
const POLL_MS = 50;
const AUDIT_FILE = 'audit.log';

export async function startOpenBaoCluster({ nodes: count = 3, audit = false } = {}) {
  const bin = await ensureOpenBao();
  const { stdout } = await promisify(execFile)(bin, ['version']);
  const kind = stdout.startsWith('Vault') ? 'vault' : 'openbao';
  for (let attempt = 1; ; attempt++) {
    const free = new Set();
    while (free.size < 2 * count) free.add(await freePort());
    const ports = [...free];
    const nodes = Array.from(
      { length: count },
      (_, index) => new Node({ bin, kind, index, ports, count, audit }),
    );
    try {
      return await formCluster(nodes, kind);
    } catch (error) {
      await Promise.all(nodes.map((node) => node.stop()));
      if (attempt === 3 || !/address already in use/i.test(error.message)) throw error;
    }
  }
}

async function formCluster(nodes, kind) {
  const state = { rootToken: '', key: '' };
  for (const node of nodes) node.state = state;
  const [first] = nodes;
  await first.run();
  await untilReady(first.id, first.keeper, async () => (await first.health()) === 501);
  const shares = { secret_shares: 1, secret_threshold: 1 };
  const { body } = expectOk(await first.api('PUT', 'sys/init', shares, { token: '' }));
  Object.assign(state, { rootToken: body.root_token, key: body.keys[0] });
  await first.untilUp();
  // One after the other: two nodes that join at once leave the first one without a majority for seconds.
  for (const node of nodes.slice(1)) await node.start();
  const cluster = new Cluster(nodes, kind, state);
  // By default a node must be stable for 10 s before it may vote.
  const autopilot = { server_stabilization_time: '1s', last_contact_threshold: '10s' };
  expectOk(await cluster.api('POST', 'sys/storage/raft/autopilot/configuration', autopilot));
  await cluster.untilVoters();
  // A production server has no KV mount; the tests expect one as on a dev server.
  await mount(async (...call) => expectOk(await cluster.api(...call)), 'sys/mounts/secret', {
    type: 'kv',
    options: { version: '2' },
  });
  return cluster;
}

/** One server process, its data, and its API. */
class Node {
  constructor({ bin, kind, index, ports, count, audit }) {
    this.id = `node-${index + 1}`;
    this.port = ports[index];
    this.address = `http://${HOST}:${this.port}`;
    const home = makeTempDir(`cluster-${this.id}`);
    const config = join(home, 'server.json');
    const clusterPort = ports[count + index];
    const others = ports.slice(0, count).filter((port) => port !== this.port);
    this.auditFile = audit ? join(home, AUDIT_FILE) : undefined;
    const { id, port } = this;
    writeFileSync(config, nodeConfig({ kind, home, id, port, clusterPort, others, audit }), { mode: 0o600 });
    this.keeper = new Keeper(home);
    this.spec = {
      command: bin,
      args: ['server', `-config=${config}`],
      options: { cwd: home, env: cleanEnv(/^(BAO|VAULT)_/i, { HOME: home, USERPROFILE: home }) },
      stopSignal: 'SIGTERM',
    };
  }

  get pid() {
    return this.keeper.process.pid;
  }

  get output() {
    return this.keeper.output;
  }

  api(method, path, body, { token = this.state.rootToken, headers, namespace } = {}, timeout = 30_000) {
    return request(`${this.address}/v1/${path.replace(/^\/?(v1\/)?/, '')}`, {
      method,
      timeout,
      body,
      headers: {
        ...(token !== '' && { 'X-Vault-Token': token }),
        ...(namespace && { 'X-Vault-Namespace': namespace }),
        ...headers,
      },
    });
  }

  /** 200 leads, 429 stands by, 501 has no storage yet, 503 is sealed; undefined without an answer. */
  async health() {
    return this.api('GET', 'sys/health', undefined, { token: '' }, 1_000).then(
      ({ status }) => status,
      () => undefined,
    );
  }

  run() {
    return this.keeper.run(this.spec);
  }

  /** Starts the process, and waits until it leads or stands by. */
  async start() {
    await this.run();
    await this.untilUp();
  }

  async untilUp() {
    await untilReady(this.id, this.keeper, async () => {
      const status = await this.health();
      if (status === 503) await this.unseal();
      return status === 200 || status === 429;
    });
  }

  unseal() {
    return this.api('PUT', 'sys/unseal', { key: this.state.key }, { token: '' });
  }

  pause() {
    return this.keeper.signal('SIGSTOP');
  }

  resume() {
    return this.keeper.signal('SIGCONT');
  }

  kill() {
    return this.keeper.kill();
  }

  async restart({ graceful = false } = {}) {
    await this.keeper.kill(graceful ? 'SIGTERM' : 'SIGKILL');
    await this.start();
  }

  stop() {
    return this.keeper.end();
  }
}

class Cluster {
  constructor(nodes, kind, state) {
    this.nodes = nodes;
    this.kind = kind;
    this.addresses = nodes.map(({ address }) => address);
    [this.address] = this.addresses;
    this.state = state;
  }

  get rootToken() {
    return this.state.rootToken;
  }

  /** Waits for a leader and returns it. */
  async leader(timeout = LEADER_TIMEOUT_MS) {
    const deadline = Date.now() + timeout;
    for (;;) {
      const states = await Promise.all(this.nodes.map((node) => node.health()));
      const index = states.indexOf(200);
      if (index >= 0) return this.nodes[index];
      if (Date.now() > deadline) throw new Error(`No leader in ${timeout} ms; health: ${states.join(', ')}`);
      await sleep(POLL_MS);
    }
  }

  /** The API of the leader. */
  async api(...call) {
    return (await this.leader()).api(...call);
  }

  /** Seals the leader; of one node that is the cluster. A standby cannot be sealed over the API. */
  async seal() {
    expectOk(await this.api('PUT', 'sys/seal'));
  }

  async unseal() {
    await Promise.all(this.nodes.map((node) => node.untilUp()));
    await this.leader();
  }

  /** Resolves when every node has a vote: one that joined a moment ago has none, and cannot take over. */
  async untilVoters() {
    const deadline = Date.now() + VOTERS_TIMEOUT_MS;
    for (;;) {
      const { body } = expectOk(await this.api('GET', 'sys/storage/raft/configuration'));
      const voters = body.data.config.servers.filter(({ voter }) => voter);
      if (voters.length === this.nodes.length) return;
      if (Date.now() > deadline) throw new Error(`Only ${voters.length} nodes vote.`);
      await sleep(POLL_MS);
    }
  }

  async stepDown() {
    expectOk(await this.api('PUT', 'sys/step-down'));
  }

  async stop() {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

function nodeConfig({ kind, home, id, port, clusterPort, others, audit }) {
  const path = join(home, 'data');
  mkdirSync(path, { recursive: true });
  return JSON.stringify({
    api_addr: `http://${HOST}:${port}`,
    cluster_addr: `https://${HOST}:${clusterPort}`,
    listener: {
      tcp: { address: `${HOST}:${port}`, cluster_address: `${HOST}:${clusterPort}`, tls_disable: true },
    },
    storage: {
      raft: {
        path,
        node_id: id,
        performance_multiplier: '1',
        ...(others.length > 0 && {
          retry_join: others.map((other) => ({ leader_api_addr: `http://${HOST}:${other}` })),
        }),
      },
    },
    // OpenBao takes audit devices from its configuration only, and refuses one that differs between the nodes. So the path
    // is relative: each node runs in its own folder.
    ...(audit && { audit: [{ type: 'file', path: 'file', options: { file_path: AUDIT_FILE } }] }),
    ...(kind === 'vault' && { disable_mlock: true }),
  });
}
