import type { Attributes, BatchObservableResult, Meter, ObservableGauge } from '@opentelemetry/api';
import type { VaultSource } from '../events/channels.js';
import type { ConnectionStatus, LeaseStatus } from '../events/status.js';
import type { BoundedPaths } from './bounded-paths.js';
import { EndedSeries, type Gauge } from './ended-series.js';
import { METRICS, VALUES } from './names.js';

/** Seconds: the time to expiry of a path or token that is in use no more. It never looks like one that ends soon. */
const NO_END = 1e9;
/** A lease without an end has the last date there is. */
const LAST_DATE = 8.64e15;

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
    for (const { source, status } of all) {
      this.#observeConnection(observe, source, status);
      this.#observePools(observe, source.name, status);
    }
    this.#ended.complete(result);
  };

  #observeConnection(observe: Observe, source: VaultSource, status: ConnectionStatus): void {
    const connection = source.name;
    const secondsTo = (end: Date) => Math.max(0, (end.getTime() - source.now()) / 1_000);
    const states = (key: Key, values: readonly string[], of: readonly { state: string }[]) => {
      for (const state of values)
        observe(key, of.filter((one) => one.state === state).length, { connection, state });
    };
    states('leases', VALUES.leaseState, status.leases);
    states('secrets', VALUES.secretState, status.secrets);
    states('health', VALUES.health, [{ state: status.health }]);
    observe('serverReachable', source.reachable ? 1 : 0, { connection });
    const superseded = status.leases.reduce((sum, lease) => sum + lease.superseded, 0);
    observe('leasesSuperseded', superseded, { connection });
    const { validUntil } = status.session;
    if (validUntil) observe('tokenTimeToExpiry', secondsTo(validUntil), { connection });
    for (const [path, least] of this.#leastByPath(status, secondsTo))
      observe('leaseTimeToExpiry', least, { connection, path });
    observe('tokenFailures', status.session.attempt, { connection, ...codeOf(status.session) });
    for (const [path, worst] of this.#worstByPath(status))
      observe('leaseFailures', worst.attempt, { connection, path, ...codeOf(worst) });
  }

  #leastByPath({ leases }: ConnectionStatus, secondsTo: (end: Date) => number): Map<string, number> {
    const least = new Map<string, number>();
    for (const { path, validUntil } of leases) {
      if (!validUntil || validUntil.getTime() >= LAST_DATE) continue;
      const shown = this.#paths.shown(path);
      least.set(shown, Math.min(least.get(shown) ?? Infinity, secondsTo(validUntil)));
    }
    return least;
  }

  #worstByPath({ leases }: ConnectionStatus): Map<string, LeaseStatus> {
    const worst = new Map<string, LeaseStatus>();
    for (const lease of leases) {
      const shown = this.#paths.shown(lease.path);
      if (lease.attempt >= (worst.get(shown)?.attempt ?? 0)) worst.set(shown, lease);
    }
    return worst;
  }

  /** Several pools of one path are one series. */
  #observePools(observe: Observe, connection: string, { pools }: ConnectionStatus): void {
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

const codeOf = ({ attempt, error }: Pick<LeaseStatus, 'attempt' | 'error'>) =>
  attempt > 0 && error ? { 'error.type': error.code } : {};
