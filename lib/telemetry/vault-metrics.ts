import type { Attributes, Counter, Histogram, MeterProvider } from '@opentelemetry/api';
import type {
  VaultEventMessage,
  VaultPoolMessage,
  VaultRequestMessage,
  VaultSource,
  VaultTaskMessage,
} from '../events/channels.js';
import type { VaultEvent } from '../events/events.js';
import { VERSION } from '../client/user-agent.js';
import type { BoundedPaths } from './bounded-paths.js';
import { VaultGauges } from './gauges.js';
import { BUCKETS, METRICS, SCOPE, VALUES, type MetricName } from './names.js';

/** Events of failed attempts that are repeated, and the kind of the attempt. */
const RETRIED: Partial<Record<VaultEvent['type'], string>> = {
  'login-failed': 'login',
  'token-renewal-failed': 'token-renewal',
  'renewal-failed': 'renewal',
  'rotation-failed': 'rotation',
  'secret-read-failed': 'read',
};

/** The metrics on one meter provider. */
export class VaultMetrics {
  readonly #gauges: VaultGauges;
  readonly #counters: Readonly<Record<CounterKey, Counter>>;
  readonly #histograms: Readonly<Record<HistogramKey, Histogram>>;
  /** Connections, and pools of a driver at a connection, whose counters have begun. */
  readonly #begun = new Set<string>();

  constructor(provider: MeterProvider, sources: ReadonlySet<VaultSource>, paths: BoundedPaths) {
    const meter = provider.getMeter(SCOPE, VERSION);
    const optionsOf = ({ unit, meaning: description }: MetricName) => ({ unit, description });
    this.#counters = keyed(COUNTERS, (key) =>
      meter.createCounter(METRICS[key].name, optionsOf(METRICS[key])),
    );
    this.#histograms = keyed(HISTOGRAMS, (key) =>
      meter.createHistogram(METRICS[key].name, {
        ...optionsOf(METRICS[key]),
        advice: { explicitBucketBoundaries: BUCKETS },
      }),
    );
    this.#gauges = new VaultGauges(meter, sources, paths);
  }

  close(): void {
    this.#gauges.close();
  }

  requestEnded({ source, operation, outcome }: VaultRequestMessage): void {
    if (!outcome) return;
    const connection = this.#begin(source);
    const { duration, status, error, leased, resends } = outcome;
    const attributes: Attributes = { connection, operation };
    if (status !== undefined) attributes['http.response.status_code'] = status;
    if (error !== undefined) attributes['error.type'] = error;
    this.#histograms.requestDuration.record(duration / 1_000, attributes);
    if (leased) this.#counters.leasesIssued.add(1, { connection });
    for (const reason of resends) this.#counters.requestResends.add(1, { connection, reason });
  }

  taskEnded({ source, kind, reason, outcome }: VaultTaskMessage): void {
    // A secret that was read again and is the same is no rotation.
    if (kind === 'login' || !outcome || (outcome.error ?? outcome.serial) === undefined) return;
    const { duration, error } = outcome;
    this.#histograms.rotationDuration.record(duration / 1_000, {
      connection: this.#begin(source),
      reason,
      ...(error !== undefined && { 'error.type': error }),
    });
  }

  event({ source, event }: VaultEventMessage): void {
    const connection = this.#begin(source);
    const { logins, rotations, leasesRenewed, leasesExpired, retries } = this.#counters;
    if (event.type === 'login') logins.add(1, { connection, reason: event.reason });
    if (event.type === 'rotated') rotations.add(1, { connection, reason: event.reason });
    if (event.type === 'renewed') leasesRenewed.add(1, { connection });
    if (event.type === 'expired') leasesExpired.add(1, { connection });
    const kind = RETRIED[event.type];
    if (kind === undefined || !('error' in event) || !event.error) return;
    const first = event.type === 'rotation-failed' && event.reason === 'first';
    retries.add(1, { connection, kind: first ? 'issue' : kind, 'error.type': event.error.code });
  }

  pool({ source, driver, type, count }: VaultPoolMessage): void {
    const connection = this.#begin(source);
    const of = { connection, driver };
    const pools = `${connection} ${driver}`;
    if (!this.#begun.has(pools))
      this.#zero('poolEvents', VALUES.poolEvent, (each) => ({ ...of, type: each }));
    this.#begun.add(pools);
    this.#counters.poolEvents.add(count, { ...of, type });
  }

  /** Reports the counters of a new connection with 0, so that an alert sees their first change. */
  #begin({ name: connection }: VaultSource): string {
    if (this.#begun.has(connection)) return connection;
    this.#begun.add(connection);
    this.#zero('logins', VALUES.loginReason, (reason) => ({ connection, reason }));
    this.#zero('rotations', VALUES.rotationReason, (reason) => ({ connection, reason }));
    for (const key of ['leasesIssued', 'leasesRenewed', 'leasesExpired'] as const)
      this.#counters[key].add(0, { connection });
    return connection;
  }

  #zero(key: CounterKey, values: readonly string[], attributes: (value: string) => Attributes): void {
    for (const value of values) this.#counters[key].add(0, attributes(value));
  }
}

const COUNTERS = [
  'requestResends',
  'logins',
  'rotations',
  'leasesIssued',
  'leasesRenewed',
  'leasesExpired',
  'retries',
  'poolEvents',
] as const;
const HISTOGRAMS = ['requestDuration', 'rotationDuration'] as const;
type CounterKey = (typeof COUNTERS)[number];
type HistogramKey = (typeof HISTOGRAMS)[number];

function keyed<K extends string, V>(keys: readonly K[], make: (key: K) => V): Record<K, V> {
  return Object.fromEntries(keys.map((key) => [key, make(key)])) as Record<K, V>;
}
