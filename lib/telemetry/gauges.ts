import type { Attributes, BatchObservableResult, Meter, ObservableGauge } from '@opentelemetry/api';
import { ends } from '../events/expiry.js';
import type { VaultSource } from '../events/channels.js';
import type { ConnectionStatus, LeaseStatus } from '../events/status.js';
import type { BoundedPaths } from './bounded-paths.js';
import { EndedSeries, type Gauge } from './ended-series.js';
import { METRICS, VALUES } from './names.js';

/** Seconds: the time to expiry of a path or token that is in use no more. It never looks like one that ends soon. */
const NO_END = 1e9;

/** The gauges, and the value of a series that has ended. */
const ENDED = {
  leases: 0,
  leasesSuperseded: 0,
  leaseTimeToExpiry: NO_END,
  tokenTimeToExpiry: NO_END,
  leaseFailures: 0,
  tokenFailures: 0,
  secrets: 0,
  health: 0,
  serverReachable: 1,
  poolConnections: 0,
  poolDrains: 0,
} as const satisfies Partial<Record<keyof typeof METRICS, number>>;

type Key = keyof typeof ENDED;
type Observe = (gauge: Key, value: number, attributes: Attributes) => void;

interface Current {
  readonly source: VaultSource;
  readonly status: ConnectionStatus;
}

/** The present state of all connections, read when metrics are collected. */
export class VaultGauges {
  readonly #meter: Meter;
  readonly #gauges: Readonly<Record<Key, Gauge>>;
  readonly #all: ObservableGauge[];
  readonly #sources: ReadonlySet<VaultSource>;
  readonly #paths: BoundedPaths;
  readonly #ended = new EndedSeries();

  constructor(meter: Meter, sources: ReadonlySet<VaultSource>, paths: BoundedPaths) {
    this.#meter = meter;
    this.#sources = sources;
    this.#paths = paths;
    const made = Object.entries(ENDED).map(([key, ended]) => {
      const { name, unit, meaning } = METRICS[key as Key];
      const instrument = meter.createObservableGauge(name, { unit, description: meaning });
      return [key, { name, instrument, ended }] as const;
    });
    this.#gauges = Object.fromEntries(made) as Record<Key, Gauge>;
    this.#all = made.map(([, { instrument }]) => instrument);
    meter.addBatchObservableCallback(this.#observe, this.#all);
  }

  close(): void {
    this.#meter.removeBatchObservableCallback(this.#observe, this.#all);
  }

  readonly #observe = (result: BatchObservableResult): void => {
    const all = [...this.#sources].map((source) => ({ source, status: source.status() }));
    const paths = all.flatMap(({ status }) => [...status.leases, ...status.pools]);
    this.#paths.keep(paths.map(({ path }) => path));
    const observe: Observe = (key, value, attributes) =>
      this.#ended.observe(result, this.#gauges[key], value, attributes);
    // Several applications of one process may have a connection of the same name: they are one series.
    for (const name of new Set(all.map(({ source }) => source.name))) {
      const same = all.filter(({ source }) => source.name === name);
      this.#observeConnections(observe, name, same);
      this.#observePools(
        observe,
        name,
        same.flatMap(({ status }) => status.pools),
      );
    }
    this.#ended.complete(result);
  };

  #observeConnections(observe: Observe, connection: string, all: readonly Current[]): void {
    const leases = all.flatMap(({ status }) => status.leases);
    const sessions = all.map(({ status }) => status.session);
    const states = (key: Key, values: readonly string[], of: readonly { state: string }[]) => {
      for (const state of values)
        observe(key, of.filter((one) => one.state === state).length, { connection, state });
    };
    states('leases', VALUES.leaseState, leases);
    const secrets = all.flatMap(({ status }) => status.secrets);
    states('secrets', VALUES.secretState, secrets);
    const health = new Set(all.map(({ status }) => status.health));
    for (const state of VALUES.health) observe('health', health.has(state) ? 1 : 0, { connection, state });
    const reachable = all.every(({ source }) => source.reachable);
    observe('serverReachable', reachable ? 1 : 0, { connection });
    const superseded = leases.reduce((sum, lease) => sum + lease.superseded, 0);
    observe('leasesSuperseded', superseded, { connection });
    const left = all.flatMap(({ source, status }) => secondsLeft(source, status.session) ?? []);
    if (left.length > 0) observe('tokenTimeToExpiry', Math.min(...left), { connection });
    for (const [path, least] of this.#leastByPath(all))
      observe('leaseTimeToExpiry', least, { connection, path });
    const [session] = sessions.toSorted((one, other) => other.attempt - one.attempt);
    if (session) observe('tokenFailures', session.attempt, { connection, ...codeOf(session) });
    for (const [path, worst] of this.#worstByPath(leases))
      observe('leaseFailures', worst.attempt, { connection, path, ...codeOf(worst) });
  }

  #leastByPath(all: readonly Current[]): Map<string, number> {
    const least = new Map<string, number>();
    for (const { source, status } of all)
      for (const lease of status.leases) {
        const left = secondsLeft(source, lease);
        if (left === undefined) continue;
        const shown = this.#paths.shown(lease.path);
        least.set(shown, Math.min(least.get(shown) ?? Infinity, left));
      }
    return least;
  }

  #worstByPath(leases: readonly LeaseStatus[]): Map<string, LeaseStatus> {
    const worst = new Map<string, LeaseStatus>();
    for (const lease of leases) {
      const shown = this.#paths.shown(lease.path);
      if (lease.attempt >= (worst.get(shown)?.attempt ?? 0)) worst.set(shown, lease);
    }
    return worst;
  }

  /** Several pools of one path are one series. */
  #observePools(observe: Observe, connection: string, pools: ConnectionStatus['pools']): void {
    const sums = new Map<string, { driver: string; path: string; counts: [number, number, number] }>();
    for (const pool of pools) {
      const { driver } = pool;
      const path = this.#paths.shown(pool.path);
      const key = `${driver} ${path}`;
      const sum = sums.get(key) ?? { driver, path, counts: [0, 0, 0] };
      sums.set(key, sum);
      sum.counts[0] += pool.connections;
      sum.counts[1] += pool.superseded;
      sum.counts[2] += pool.drains.length;
    }
    for (const { driver, path, counts } of sums.values()) {
      const [current, superseded, drains] = counts;
      const of = { connection, driver, path };
      observe('poolConnections', current, { ...of, generation: 'current' });
      observe('poolConnections', superseded, { ...of, generation: 'superseded' });
      observe('poolDrains', drains, of);
    }
  }
}

/** Undefined without an end. */
function secondsLeft(source: VaultSource, { validUntil }: { validUntil?: Date }): number | undefined {
  if (!ends(validUntil)) return undefined;
  return Math.max(0, (validUntil.getTime() - source.now()) / 1_000);
}

const codeOf = ({ attempt, error }: Pick<LeaseStatus, 'attempt' | 'error'>) =>
  attempt > 0 && error ? { 'error.type': error.code } : {};
