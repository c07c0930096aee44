import type { Attributes, BatchObservableResult, ObservableGauge } from '@opentelemetry/api';

/** Number of ended series that are remembered. */
const MOST = 1_000;

/** A gauge, with the value of a series that has ended. */
export interface Gauge {
  readonly name: string;
  readonly instrument: ObservableGauge;
  readonly ended: number;
}

interface Series {
  readonly gauge: Gauge;
  readonly attributes: Attributes;
}

/**
 * The SDK for JavaScript goes on to report the last value of a series that is observed no more. A closed connection would
 * look as if its credentials were about to expire, without end. So a series that has ended is observed with a value of its own.
 */
export class EndedSeries {
  readonly #ended = new Map<string, Series>();
  #last = new Map<string, Series>();
  #current = new Map<string, Series>();

  observe(result: BatchObservableResult, gauge: Gauge, value: number, attributes: Attributes): void {
    const key = JSON.stringify([gauge.name, attributes]);
    this.#current.set(key, { gauge, attributes });
    this.#ended.delete(key);
    result.observe(gauge.instrument, value, attributes);
  }

  /** To be called when all values of one collection are observed. */
  complete(result: BatchObservableResult): void {
    for (const [key, series] of this.#last) if (!this.#current.has(key)) this.#ended.set(key, series);
    for (const key of this.#ended.keys()) {
      if (this.#ended.size <= MOST) break;
      this.#ended.delete(key);
    }
    for (const { gauge, attributes } of this.#ended.values())
      result.observe(gauge.instrument, gauge.ended, attributes);
    this.#last = this.#current;
    this.#current = new Map();
  }
}
