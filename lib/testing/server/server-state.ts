import type { Clock } from '../../clock/clock.js';
import { AppRole } from '../backends/app-role.js';
import {
  type Backend,
  type Call,
  type Lease,
  type Maybe,
  Namespace,
  type Operation,
  type Result,
  type Token,
} from './model.js';
import { Cubbyhole } from '../backends/cubbyhole.js';
import { Database } from '../backends/database.js';
import { Faults } from './faults.js';
import type { NodeState } from '../backends/sys-health.js';
import { RequestLog } from './request-log.js';
import { randomText } from './ids.js';
import { KvV1 } from '../backends/kv-v1.js';
import { KvV2 } from '../backends/kv-v2.js';
import { LeaseStore } from './lease-store.js';
import { Acl, type Rules, WRAPPING_RULES } from './acl.js';
import { RateLimits } from './rate-limits.js';
import { Sys } from '../backends/sys.js';
import { TimeHeap } from '../../clock/time-heap.js';
import { TokenAuth } from '../backends/token-auth.js';
import { TokenStore } from './token-store.js';
import { VirtualClock } from '../clock/virtual-clock.js';
import { Wrapping } from './wrapping.js';
import { Refusal } from './refusal.js';

/** What ends by itself. Times in milliseconds of the server. */
interface Expirable {
  expires: number;
  ended: boolean;
  /** The time it is in the heap for. */
  queued: number;
}

interface Retry extends Expirable {
  retry: () => void;
}

/**
 * Runs one SQL statement on the database that the simulated server hands out users of.
 *
 * @publicApi
 */
export type RunSql = (statement: string) => Promise<unknown>;

export interface CoreOptions {
  clock: Clock;
  dialect: 'openbao' | 'vault';
  rootToken: string;
  sql?: RunSql | undefined;
}

/** From so many on it is looked whether what waits for its end has ended already. */
const SWEEP = 1_000;

/** The state of a simulated server, and its time. */
export class ServerState {
  readonly tokens = new TokenStore(this);
  readonly leases = new LeaseStore(this);
  readonly wrapping = new Wrapping(this);
  readonly rateLimits = new RateLimits(this);
  readonly faults = new Faults();
  readonly history: RequestLog;
  readonly namespaces = new Map<string, Namespace>();
  readonly root: Namespace;
  /** Database users that exist, with the deadline of their lease. */
  readonly users = new Map<string, { password: string; expires: () => number }>();
  readonly clusterId = randomText(8);
  readonly clock: Clock;
  readonly sql: RunSql | undefined;
  readonly vault: boolean;
  readonly version: string;
  /** What the node is, where it is neither sealed nor a standby. */
  state: NodeState = 'active';
  /** The database that users are made in cannot be reached. */
  databaseDown = false;
  /** Where the leader is, while this node is a standby. */
  standby: { leader: string | undefined } | undefined;
  #sealed = false;
  readonly #mortals = new TimeHeap<Expirable | Retry>();
  #sweepAt = SWEEP;
  readonly #acls = new Map<string, { version: number; acl: Acl }>();
  readonly #start: number;
  readonly #elapsed: () => number;
  #cancelAlarm: (() => void) | undefined;
  #alarmAt = Infinity;
  #second = -1;
  #date = '';

  constructor({ clock, dialect, rootToken, sql }: CoreOptions) {
    this.clock = clock;
    this.sql = sql;
    this.vault = dialect === 'vault';
    this.version = this.vault ? '1.21.4' : '2.7.2';
    this.#start = clock.wall();
    // A server elsewhere does not care how this machine's wall clock is set, or that it sleeps.
    const since = clock.monotonic();
    this.#elapsed =
      clock instanceof VirtualClock ? () => clock.elapsed : () => Math.floor(clock.monotonic() - since);
    this.#start -= clock instanceof VirtualClock ? clock.elapsed : 0;
    this.history = new RequestLog(this);
    this.root = this.addNamespace('');
    this.mountSecrets(this.root, 'secret', new KvV2(this));
    this.tokens.create({
      id: rootToken,
      policies: ['root'],
      path: 'auth/token/create',
      namespace: this.root,
    });
  }

  /** A server that is not initialised is sealed, too. */
  get sealed(): boolean {
    return this.#sealed || this.state === 'uninitialized';
  }

  set sealed(sealed: boolean) {
    this.#sealed = sealed;
  }

  /** The server's own wall time in milliseconds. */
  get now(): number {
    return this.#start + this.#elapsed();
  }

  /** The date of a time, as the server writes it. */
  date(time = this.now): string {
    return new Date(time).toISOString();
  }

  /** The time as HTTP writes it. */
  get httpDate(): string {
    const second = Math.floor(this.now / 1000);
    if (second !== this.#second) [this.#second, this.#date] = [second, new Date(second * 1000).toUTCString()];
    return this.#date;
  }

  addNamespace(path: string): Namespace {
    const namespace = new Namespace(path, path === '' ? 'root' : randomText(6));
    this.namespaces.set(path, namespace);
    namespace.mounts.set('sys', new Sys(this));
    namespace.mounts.set('auth/token', new TokenAuth(this));
    namespace.mounts.set('cubbyhole', new Cubbyhole(this));
    return namespace;
  }

  mountSecrets(namespace: Namespace, path: string, backend: Backend): void {
    namespace.mounts.set(path, backend);
  }

  /** A secrets engine or auth method by the name the API has for it. */
  engine(type: string, version?: string): Backend {
    if (type === 'kv' || type === 'kv-v2')
      return version === '2' || type === 'kv-v2' ? new KvV2(this) : new KvV1(this);
    if (type === 'generic') return new KvV1(this);
    if (type === 'database') return new Database(this);
    if (type === 'approle') return new AppRole(this);
    throw new Refusal(400, `SimulatedVault has no engine of type "${type}"`);
  }

  /** Lets an engine do something as an operator would, past policies, faults and history. */
  operate(
    namespace: Namespace,
    operation: Operation,
    fullPath: string,
    body: object = {},
  ): Maybe<Result | void> {
    const found = namespace.find(fullPath);
    if (!found) throw new Error(`Nothing is mounted at ${fullPath}`);
    const call: Call = {
      operation,
      path: found.rest,
      fullPath,
      body: body as Record<string, unknown>,
      query: new URLSearchParams(),
      contentType: 'application/json',
      namespace,
      token: undefined,
      rawToken: '',
      source: '127.0.0.1',
    };
    return found.backend.handle(call);
  }

  /** What a token may do at a path of a namespace. */
  capabilities(token: Token, namespace: Namespace, path: string): ReadonlySet<string> {
    if (token.root) return new Set(['root']);
    const home = token.init.namespace;
    if (!namespace.path.startsWith(home.path)) return new Set();
    return this.#acl(token).capabilities(namespace.path.slice(home.path.length) + path);
  }

  #acl(token: Token): Acl {
    const { policies, namespace } = token.init;
    const key = `${namespace.path} ${policies.join()}`;
    const known = this.#acls.get(key);
    if (known?.version === namespace.policyVersion) return known.acl;
    const rules = policies.map((name): Rules | undefined =>
      name === 'response-wrapping' ? WRAPPING_RULES : namespace.policies.get(name)?.rules,
    );
    const acl = new Acl(rules.filter((one) => one !== undefined));
    this.#acls.set(key, { version: namespace.policyVersion, acl });
    return acl;
  }

  /** Has something ended at its time. */
  expireAt(at: number, mortal: Expirable | Retry): void {
    if (at >= mortal.queued || at === Infinity) return;
    mortal.queued = at;
    this.#mortals.push(at, mortal);
    this.#sweep();
    this.#setAlarm();
  }

  /** What ended early would stay until its time, which can be a month away. */
  #sweep(): void {
    if (this.#mortals.size < this.#sweepAt) return;
    this.#mortals.keep(({ ended, queued }, at) => !ended && queued === at);
    this.#sweepAt = Math.max(SWEEP, 2 * this.#mortals.size);
  }

  /** Ends what is past its time. A sealed server does so later. */
  expire(): void {
    if (this.sealed) return;
    const { now } = this;
    while (this.#mortals.at <= now) {
      const mortal = this.#mortals.pop() as Expirable | Retry;
      mortal.queued = Infinity;
      if (mortal.ended) continue;
      if (mortal.expires > now) this.expireAt(mortal.expires, mortal);
      else if ('retry' in mortal) mortal.retry();
      else if ('accessor' in mortal) this.tokens.revoke(mortal as Token);
      else this.leases.end(mortal as Lease);
    }
    this.#setAlarm();
  }

  /** Work on a real database takes no virtual time. */
  hold(work: Promise<unknown>): void {
    work.catch(() => undefined);
    if (this.clock instanceof VirtualClock) this.clock.hold(work);
  }

  close(): void {
    this.#cancelAlarm?.();
    this.#alarmAt = -Infinity;
  }

  /** What is only known here ends when somebody looks; users of a real database have to go in time. */
  #setAlarm(): void {
    const { at } = this.#mortals;
    if (!this.sql || at >= this.#alarmAt) return;
    this.#cancelAlarm?.();
    this.#alarmAt = at;
    const delay = Math.min(Math.max(at - this.now, 1), 2 ** 31 - 1);
    this.#cancelAlarm = this.clock.setTimer(delay, () => {
      this.#alarmAt = Infinity;
      this.expire();
    });
  }
}
