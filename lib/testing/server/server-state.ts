import type { Clock } from '../../clock/clock.js';
import { AccessControl } from './access-control.js';
import { SimulatedCloud } from './cloud.js';
import { SimulatedDirectory } from './directory.js';
import { Faults } from './faults.js';
import { randomText } from './ids.js';
import { LeaseStore } from './lease-store.js';
import { Namespace } from './model.js';
import { NodeStatus } from './node-status.js';
import { RateLimits } from './rate-limits.js';
import { Replication } from './replication.js';
import { RequestLog } from './request-log.js';
import type { RunSql, ServerContext, UserDatabase } from './server-context.js';
import { SecondFactors } from './second-factors.js';
import { ServerTime } from './server-time.js';
import { TokenStore } from './token-store.js';
import { Wrapping } from './wrapping.js';

/** Version of each product whose answers are imitated. */
export const IMITATED = { openbao: '2.7.2', vault: '1.21.4' } as const;

export interface ServerOptions {
  clock: Clock;
  dialect: 'openbao' | 'vault';
  rootToken: string;
  sql?: RunSql | undefined;
}

/** The state of a simulated server. Its root namespace has no mounts yet. */
export class ServerState implements ServerContext {
  readonly clock: Clock;
  readonly vault: boolean;
  readonly version: string;
  readonly clusterId = randomText(8);
  readonly node = new NodeStatus();
  readonly replication: Replication;
  readonly time: ServerTime;
  readonly leases: LeaseStore;
  readonly tokens: TokenStore;
  readonly wrapping: Wrapping;
  readonly rateLimits: RateLimits;
  readonly access = new AccessControl();
  readonly faults = new Faults();
  readonly log: RequestLog;
  readonly database: UserDatabase;
  readonly cloud = new SimulatedCloud();
  readonly directory = new SimulatedDirectory();
  readonly secondFactors: SecondFactors;
  readonly root = new Namespace('', 'root');
  readonly namespaces = new Map([['', this.root]]);

  constructor({ clock, dialect, rootToken, sql }: ServerOptions) {
    this.clock = clock;
    this.vault = dialect === 'vault';
    this.version = IMITATED[dialect];
    this.replication = new Replication(clock, this.clusterId);
    this.database = { users: new Map(), sql, down: false };
    this.time = new ServerTime(clock, { isPaused: () => this.node.sealed, punctual: sql !== undefined });
    this.leases = new LeaseStore(this.time);
    this.tokens = new TokenStore(this.time, this.leases, this.vault);
    this.wrapping = new Wrapping(this.time, this.tokens);
    this.secondFactors = new SecondFactors(this.time, this.tokens, this.vault);
    this.rateLimits = new RateLimits(this.time);
    this.log = new RequestLog(this.time);
    const path = 'auth/token/create';
    this.tokens.create({ id: rootToken, policies: ['root'], path, namespace: this.root });
  }
}
