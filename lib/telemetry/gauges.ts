import type { BatchObservableResult, Meter, Observable, ObservableGauge } from '@opentelemetry/api';
import type { VaultSource } from '../events/channels.js';
import type { ConnectionStatus } from '../events/status.js';
import { METRICS, VALUES, type MetricName } from './names.js';
import type { BoundedPaths } from './bounded-paths.js';

const GAUGES = {
  leases: METRICS.leases,
  leasesSuperseded: METRICS.leasesSuperseded,
  leaseTimeToExpiry: METRICS.leaseTimeToExpiry,
  tokenTimeToExpiry: METRICS.tokenTimeToExpiry,
  secrets: METRICS.secrets,
  health: METRICS.health,
  serverReachable: METRICS.serverReachable,
  poolConnections: METRICS.poolConnections,
  poolDrains: METRICS.poolDrains,
} as const;

type Gauges = Readonly<Record<keyof typeof GAUGES, ObservableGauge>>;

/** The present state of all connections, read when metrics are collected. */
export class VaultGauges {
  readonly #meter: Meter;
  readonly #gauges: Gauges;
  readonly #sources: ReadonlySet<VaultSource>;
  readonly #paths: BoundedPaths;

  constructor(meter: Meter, sources: ReadonlySet<VaultSource>, paths: BoundedPaths) {
    this.#meter = meter;
    this.#sources = sources;
    this.#paths = paths;
    const made = Object.entries(GAUGES).map(([key, { name, unit, meaning }]: [string, MetricName]) => [
      key,
      meter.createObservableGauge(name, { unit, description: meaning }),
    ]);
    this.#gauges = Object.fromEntries(made) as Gauges;
    meter.addBatchObservableCallback(this.#observe, this.#all);
  }

  close(): void {
    this.#meter.removeBatchObservableCallback(this.#observe, this.#all);
  }

  get #all(): Observable[] {
    return Object.values(this.#gauges);
  }

  readonly #observe = (result: BatchObservableResult): void => {
    const all = [...this.#sources].map((source) => ({ source, status: source.status() }));
    this.#paths.keep(
      all.flatMap(({ status }) => [...status.leases, ...status.pools].map(({ path }) => path)),
    );
    for (const { source, status } of all) this.#observeConnection(result, source, status);
  };

  #observeConnection(result: BatchObservableResult, source: VaultSource, status: ConnectionStatus): void {
    const gauges = this.#gauges;
    const connection = source.name;
    const secondsTo = (end: Date) => Math.max(0, (end.getTime() - source.now()) / 1_000);
    const states = (gauge: ObservableGauge, values: readonly string[], of: readonly { state: string }[]) => {
      for (const state of values)
        result.observe(gauge, of.filter((one) => one.state === state).length, { connection, state });
    };
    states(gauges.leases, VALUES.leaseState, status.leases);
    states(gauges.secrets, VALUES.secretState, status.secrets);
    states(gauges.health, VALUES.health, [{ state: status.health }]);
    result.observe(gauges.serverReachable, source.reachable ? 1 : 0, { connection });
    const superseded = status.leases.reduce((sum, lease) => sum + lease.superseded, 0);
    result.observe(gauges.leasesSuperseded, superseded, { connection });
    const { validUntil } = status.session;
    if (validUntil) result.observe(gauges.tokenTimeToExpiry, secondsTo(validUntil), { connection });
    for (const [path, least] of this.#leastByPath(status, secondsTo))
      result.observe(gauges.leaseTimeToExpiry, least, { connection, path });
    this.#observePools(result, connection, status);
  }

  #leastByPath({ leases }: ConnectionStatus, secondsTo: (end: Date) => number): Map<string, number> {
    const least = new Map<string, number>();
    for (const { path, validUntil } of leases) {
      // A lease without an end has the last date there is.
      if (!validUntil || validUntil.getTime() >= LAST_DATE) continue;
      const shown = this.#paths.shown(path);
      least.set(shown, Math.min(least.get(shown) ?? Infinity, secondsTo(validUntil)));
    }
    return least;
  }

  /** Several pools of one path are one series. */
  #observePools(result: BatchObservableResult, connection: string, { pools }: ConnectionStatus): void {
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
      result.observe(this.#gauges.poolConnections, current, { ...of, generation: 'current' });
      result.observe(this.#gauges.poolConnections, superseded, { ...of, generation: 'superseded' });
      result.observe(this.#gauges.poolDrains, drains, of);
    }
  }
}

const LAST_DATE = 8.64e15;
