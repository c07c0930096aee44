import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { Application } from '../soak/application.js';
import { POLICY } from '../soak/backends/backend.js';
import { CREATION, REVOCATION, SETUP } from '../soak/backends/postgres.js';
import { Load, type Mix } from '../soak/load.js';
import { startPrometheus, type PrometheusServer } from '../support/prometheus.mjs';
import {
  freePort,
  openBaoAvailable,
  provision,
  startOpenBao,
  startPostgres,
  type OpenBaoServer,
  type PostgresServer,
} from '../support/servers.mjs';
import { Reader, type Commands } from './runbook.js';

/** The application of one story. Times in seconds. */
export interface Life {
  /** TTL and max TTL of its token. */
  token: readonly [number, number];
  /** TTL and max TTL of its database users. */
  lease: readonly [number, number];
  /** Default: 10. */
  drain?: number;
  /** Its file holds a wrapping token. */
  wrapped?: boolean;
  /** It watches a KV secret. */
  watches?: boolean;
}

/** A few queries a second, so that a pool notices what happens to its user. */
const MIX: Mix = { rate: 3, transactions: 0, cursors: 0, long: [0, 0] };
/** A rotation of a TTL of seconds on a busy machine. */
const PATIENCE = 300_000;
const LOOK_EVERY = 250;
const KV_POLICY = 'path "secret/data/*" { capabilities = ["read"] }\n';

/** One application with its load; its name is its job in Prometheus, its AppRole, and its role of the database. */
export interface Subject {
  readonly name: string;
  readonly bao: OpenBaoServer;
  readonly app: Application;
  readonly load: Load;
  /** The variables of the runbooks. */
  readonly env: Readonly<Record<string, string>>;
  /** Starts it again, after it has ended. */
  restart: () => Promise<Subject>;
}

/** Real servers, a Prometheus that reads every application each second, for a reader of the runbooks. */
export class World {
  readonly postgres: PostgresServer;
  readonly bao: OpenBaoServer;
  /** The servers of single stories. */
  readonly #others: OpenBaoServer[] = [];
  readonly #subjects = new Map<string, Subject>();
  readonly #reader: Reader;
  readonly #home = mkdtempSync(join(tmpdir(), 'nestjs-vault-operated-'));
  readonly #ports = new Map<string, number>();
  readonly #prometheusPort: number;
  #prometheus: PrometheusServer | undefined;

  private constructor(reader: Reader, bao: OpenBaoServer, postgres: PostgresServer, prometheusPort: number) {
    this.#reader = reader;
    this.bao = bao;
    this.postgres = postgres;
    this.#prometheusPort = prometheusPort;
  }

  static async start(reader = new Reader()): Promise<World> {
    const [bao, postgres, port] = await Promise.all([
      startOpenBao({ audit: true }),
      startPostgres(),
      freePort(),
    ]);
    await postgres.query(SETUP);
    await prepare(bao, postgres);
    return new World(reader, bao, postgres, port);
  }

  /** A server of its own for one story, on the same database. */
  async ownServer(): Promise<OpenBaoServer> {
    const bao = await startOpenBao({ audit: true });
    this.#others.push(bao);
    await prepare(bao, this.postgres);
    return bao;
  }

  async subject(name: string, life: Life, bao: OpenBaoServer = this.bao): Promise<Subject> {
    const file = join(this.#home, `${name}.secret`);
    const roleId = await addRole(bao, name, life);
    const secretId = life.wrapped ? await wrappedSecretId(bao, name) : await newSecretId(bao, name);
    writeFileSync(file, secretId, { mode: 0o600 });
    const metricsPort = await freePort();
    this.#ports.set(name, metricsPort);
    const { host, port, database, connectionString } = this.postgres;
    const drain = (life.drain ?? 10) * 1_000;
    const start = async (): Promise<Subject> => {
      const app = await Application.start({
        variant: 'pg',
        role: name,
        vault: {
          address: bao.address,
          auth: { roleId, secretId, file: { path: file, wrapped: life.wrapped ?? false } },
        },
        database: { host, port, database, max: 5, drain, application: `soak ${name}` },
        metricsPort,
        ...(life.watches && { watched: 'app' }),
      });
      const load = new Load(app.url, (text) => app.expectNoSecrets(text), MIX).start();
      const env = {
        PATH: [dirname(await binary()), process.env['PATH']].join(delimiter),
        HOME: this.#home,
        BAO_ADDR: bao.address,
        BAO_TOKEN: bao.rootToken,
        VAULT_ADDR: bao.address,
        VAULT_TOKEN: bao.rootToken,
        UNSEAL_KEY: bao.unsealKey ?? '',
        PROM: `http://127.0.0.1:${this.#prometheusPort}`,
        ROLE: name,
        DB_ROLE: name,
        SECRET_ID_FILE: file,
        AUDIT: bao.auditFile ?? '',
        DATABASE_URL: connectionString,
        INSTANCE: `127.0.0.1:${metricsPort}`,
      };
      const subject = { name, bao, app, load, env, restart: start };
      this.#subjects.set(name, subject);
      return subject;
    };
    return start();
  }

  /** Begins to read the metrics of all applications there are: none is still starting. */
  async observe(rules: string): Promise<void> {
    const config = stringify({
      global: { scrape_interval: '1s', evaluation_interval: '500ms' },
      rule_files: ['alerts.yml'],
      scrape_configs: [...this.#ports].map(([name, port]) => ({
        job_name: name,
        static_configs: [{ targets: [`127.0.0.1:${port}`] }],
      })),
    });
    this.#prometheus = await startPrometheus({ config, rules, port: this.#prometheusPort });
    for (const name of this.#ports.keys())
      await this.until(`metrics of ${name}`, async () => {
        const samples = await this.prometheus.query(`nestjs_vault_health{job="${name}"}`);
        return samples.length > 0;
      });
  }

  get prometheus(): PrometheusServer {
    if (!this.#prometheus) throw new Error('Prometheus does not run yet.');
    return this.#prometheus;
  }

  /** Waits until an alert of an application fires. @returns after so many milliseconds */
  async fires(subject: Subject, alert: string): Promise<number> {
    return this.until(`${alert} of ${subject.name}`, () => this.#fires(subject, alert));
  }

  /** Waits until it ends. */
  async ends(subject: Subject, alert: string): Promise<number> {
    return this.until(
      `the end of ${alert} of ${subject.name}`,
      async () => !(await this.#fires(subject, alert)),
    );
  }

  /** The alerts that fired so far, by job. */
  async fired(): Promise<Record<string, string[]>> {
    const samples = await this.prometheus.query(
      'count by (job, alertname) (last_over_time(ALERTS{alertstate="firing"}[6h]))',
    );
    const byJob: Record<string, string[]> = {};
    for (const { metric } of samples) (byJob[metric['job'] ?? ''] ??= []).push(metric['alertname'] ?? '');
    return byJob;
  }

  async follow(subject: Subject, commands: readonly Commands[]): Promise<void> {
    for (const one of commands) await this.#reader.run(one, subject.env);
  }

  async until(what: string, holds: () => Promise<boolean>): Promise<number> {
    const began = Date.now();
    for (; Date.now() < began + PATIENCE; await sleep(LOOK_EVERY))
      if (await holds()) return Date.now() - began;
    throw new Error(`${what}: not within ${PATIENCE / 1_000} s.`);
  }

  async end(subject: Subject): Promise<void> {
    await subject.load.stop();
    await subject.app.stop();
    this.#subjects.delete(subject.name);
  }

  async stop(): Promise<void> {
    try {
      await Promise.all([...this.#subjects.values()].map((subject) => this.end(subject)));
    } finally {
      await Promise.all([this.bao, this.postgres, ...this.#others].map((server) => server.stop()));
      await this.#prometheus?.stop();
      rmSync(this.#home, { recursive: true, force: true });
    }
  }

  async #fires({ name }: Subject, alert: string): Promise<boolean> {
    const alerts = await this.prometheus.alerts();
    return alerts.some(
      ({ state, labels }) => state === 'firing' && labels.alertname === alert && labels['job'] === name,
    );
  }
}

async function binary(): Promise<string> {
  const available = await openBaoAvailable();
  if (!available.ok) throw new Error(available.reason);
  return available.bin;
}

async function prepare(bao: OpenBaoServer, postgres: PostgresServer): Promise<void> {
  await provision(bao, postgres, { roles: [], policyName: 'operated', policy: `${POLICY}${KV_POLICY}` });
  await call(bao, 'POST', 'secret/data/app', { data: { colour: 'green' } });
}

async function addRole(bao: OpenBaoServer, name: string, { token, lease }: Life): Promise<string> {
  await call(bao, 'POST', `database/roles/${name}`, {
    db_name: 'postgres',
    default_ttl: `${lease[0]}s`,
    max_ttl: `${lease[1]}s`,
    creation_statements: CREATION,
    revocation_statements: REVOCATION,
  });
  await call(bao, 'POST', `auth/approle/role/${name}`, {
    token_policies: ['operated'],
    token_ttl: `${token[0]}s`,
    token_max_ttl: `${token[1]}s`,
  });
  return (await call(bao, 'GET', `auth/approle/role/${name}/role-id`)).data.role_id as string;
}

async function newSecretId(bao: OpenBaoServer, name: string): Promise<string> {
  return (await call(bao, 'POST', `auth/approle/role/${name}/secret-id`)).data.secret_id as string;
}

async function wrappedSecretId(bao: OpenBaoServer, name: string): Promise<string> {
  const headers = { 'X-Vault-Wrap-TTL': '120s' };
  const path = `auth/approle/role/${name}/secret-id`;
  return (await call(bao, 'POST', path, undefined, headers)).wrap_info.token as string;
}

async function call(
  bao: OpenBaoServer,
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  const answer = await bao.api(method, path, body, { headers });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status}`);
  return answer.body;
}
