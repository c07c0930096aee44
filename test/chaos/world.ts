import { expect } from 'vitest';
import { startOpenBaoCluster, type OpenBaoCluster } from '../support/cluster.mjs';
import { provision, startPostgres, usersInDatabase, type PostgresServer } from '../support/servers.mjs';
import { Application } from '../soak/application.js';
import { atLast, POLICY } from '../soak/backends/backend.js';
import { connections, CREATION, REVOCATION, SETUP } from '../soak/backends/postgres.js';
import { Load, type Mix } from '../soak/load.js';
import type { Row } from './rows.js';
import { Subject } from './subject.js';

/** The TTLs of an application, and the duration of its work, in seconds. */
export interface Life {
  ttl: number;
  /** Default: ten minutes. */
  maxTtl?: number;
  /** The TTL of its token. */
  token: number;
  /** Timeout of one request to Vault, in milliseconds. */
  timeout?: number;
  /** The drain window of its pool; its transactions take up to five sixths of that. */
  drain: number;
}

/** Granted 18 s including the drain, and renewed with 8 s left: survives an outage of 6 s. */
export const LONG: Life = { ttl: 12, token: 24, drain: 6 };
/**
 * Granted 4 s: does not survive an outage of 6 s. The token needs no renewal meanwhile, so its retries do not matter.
 */
export const SHORT: Life = { ttl: 3, token: 120, drain: 1 };

/** Limit for the recovery from a fault that cannot be survived, in milliseconds from the end of the fault. */
export const BACK_WITHIN = 2_000;

/** Queries failed for a short time; the status gave the reason for as long. No storm of requests. */
export function expectBack(row: Row, why?: string): void {
  const { failed, recovered, statusUp, said, requests, lasted } = row;
  expectLive(row);
  expect(failed).toBeGreaterThan(0);
  expect(recovered).toBeLessThan(BACK_WITHIN);
  expect(statusUp).toBeLessThan(BACK_WITHIN);
  if (why) expect(said).toContain(why);
  // With a TTL of a second, each lease takes an issue and a retirement.
  expect(requests.total).toBeLessThan(10 + (6 * lasted) / 1_000);
}

/** No query failed, and the status gave the reason, if the fault shows there. */
export function expectSurvived(row: Row, why?: string): void {
  const { failed, said, requests, lasted, probes } = row;
  expectLive(row);
  expect(probes).toMatchObject({ notReady: 0, reasons: [] });
  expect({ failed, said }).toEqual({ failed: 0, said: why ? expect.arrayContaining([why]) : [] });
  expect(requests.total).toBeLessThan(5 + lasted / 1_000);
}

/** No fault of this folder is a reason for a restart, and each application has started. */
function expectLive({ probes }: Row): void {
  expect(probes).toMatchObject({ notLive: 0, notStarted: 0 });
}

/** The probes took the traffic away, for this reason alone, and no longer than until the recovery. */
export function expectNotReady({ probes, lasted }: Row): void {
  expect(probes.reasons).toEqual(['expired']);
  expect(probes.notReady).toBeGreaterThan(0);
  expect(probes.notReady).toBeLessThan(lasted);
}

const TEN_MINUTES = 600;
/** Leases whose answers were lost end with their TTL. */
const GONE_WITHIN = 30_000;

/** The servers and applications of one file of cases. */
export class World {
  readonly bao: OpenBaoCluster;
  readonly postgres: PostgresServer;
  readonly #subjects: Subject[] = [];

  private constructor(bao: OpenBaoCluster, postgres: PostgresServer) {
    this.bao = bao;
    this.postgres = postgres;
  }

  static async start(nodes = 1): Promise<World> {
    const [bao, postgres] = await Promise.all([startOpenBaoCluster({ nodes }), startPostgres()]);
    await postgres.query(SETUP);
    await provision(bao, postgres, { roles: [], policyName: 'chaos', policy: POLICY });
    return new World(bao, postgres);
  }

  /** An application under load, with a database role and an AppRole of its own. */
  async subject(
    name: string,
    life: Life,
    address: string | readonly string[] = this.bao.address,
  ): Promise<Subject> {
    await this.setRole(name, life);
    const { ttl, token, drain, timeout } = life;
    const most = drain * 1_000;
    const role = `auth/approle/role/${name}`;
    await this.#call('POST', role, {
      token_policies: ['chaos'],
      token_ttl: `${token}s`,
      token_max_ttl: `${TEN_MINUTES}s`,
      token_no_default_policy: true,
    });
    const roleId = (await this.#call('GET', `${role}/role-id`)).data.role_id as string;
    const secretId = (await this.#call('POST', `${role}/secret-id`)).data.secret_id as string;
    const { host, port, database } = this.postgres;
    const app = await Application.start({
      variant: 'pg',
      role: name,
      vault: { address, auth: { roleId, secretId }, ...(timeout && { timeout }) },
      database: { host, port, database, max: 12, drain: most, application: `soak ${name}` },
    });
    const mix: Mix = { rate: 25, transactions: 4, cursors: 2, long: [most / 6, (most * 5) / 6] };
    const load = new Load(app.url, (text) => app.expectNoSecrets(text), mix).start();
    const subject = new Subject(
      app,
      load,
      `ttl ${ttl} s, drain ${drain} s${timeout ? `, timeout ${timeout / 1_000} s` : ''}`,
    );
    this.#subjects.push(subject);
    return subject;
  }

  /** Writes a role of the database engine; existing leases are affected at their next renewal. */
  async setRole(name: string, { ttl, maxTtl = TEN_MINUTES }: Pick<Life, 'ttl' | 'maxTtl'>): Promise<void> {
    await this.#call('POST', `database/roles/${name}`, {
      db_name: 'postgres',
      default_ttl: `${ttl}s`,
      max_ttl: `${maxTtl}s`,
      creation_statements: CREATION,
      revocation_statements: REVOCATION,
    });
  }

  /** Ends servers and applications; checks that ended applications have left no user and no connection. */
  async stop(): Promise<void> {
    try {
      await Promise.all(this.#subjects.map((subject) => subject.stop()));
      await atLast(GONE_WITHIN, async () => (await usersInDatabase(this.postgres)).length);
      expect(await usersInDatabase(this.postgres), 'users left').toEqual([]);
      expect(
        await atLast(GONE_WITHIN, async () => (await connections(this.postgres)).length),
        'connections left',
      ).toBe(0);
    } finally {
      await Promise.all([this.bao.stop(), this.postgres.stop()]);
    }
  }

  async #call(method: string, path: string, body?: unknown) {
    const answer = await this.bao.api(method, path, body);
    expect(answer.status, `${method} ${path}`).toBeLessThan(300);
    return answer.body;
  }
}
