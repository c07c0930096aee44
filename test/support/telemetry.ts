import type { Attributes } from '@opentelemetry/api';
import {
  AggregationTemporality,
  MeterProvider,
  MetricReader,
  type Histogram,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan,
} from '@opentelemetry/sdk-trace-base';
import { VaultInstrumentation, type VaultInstrumentationConfig } from 'nestjs-vault/opentelemetry';

class ManualReader extends MetricReader {
  protected onShutdown = () => Promise.resolve();
  protected onForceFlush = () => Promise.resolve();
  override selectAggregationTemporality = () => AggregationTemporality.CUMULATIVE;
}

/** One series of a metric. The value of a histogram is its number of records; `sum` their sum. */
export interface Series {
  readonly name: string;
  readonly unit: string;
  readonly attributes: Attributes;
  readonly value: number;
  readonly sum?: number;
}

/** The instrumentation with providers of OpenTelemetry's SDK that keep everything in memory. */
export class Telemetry {
  readonly #reader = new ManualReader();
  readonly #exporter = new InMemorySpanExporter();
  readonly meterProvider = new MeterProvider({ readers: [this.#reader] });
  readonly tracerProvider = new BasicTracerProvider({
    spanProcessors: [new SimpleSpanProcessor(this.#exporter)],
  });
  readonly instrumentation: VaultInstrumentation;

  constructor(config: VaultInstrumentationConfig = {}) {
    const { meterProvider, tracerProvider } = this;
    this.instrumentation = new VaultInstrumentation({ ...config, meterProvider, tracerProvider });
  }

  /** Ended spans, in the order of their end. */
  get spans(): ReadableSpan[] {
    return this.#exporter.getFinishedSpans();
  }

  /** All series of all metrics now. */
  async series(): Promise<Series[]> {
    const { resourceMetrics, errors } = await this.#reader.collect();
    if (errors.length > 0) throw errors[0] as Error;
    return resourceMetrics.scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .flatMap(({ descriptor: { name, unit }, dataPoints }) =>
        dataPoints.map(({ attributes, value }) => {
          if (typeof value === 'number') return { name, unit, attributes, value };
          const { count, sum } = value as Histogram;
          return { name, unit, attributes, value: count, ...(sum !== undefined && { sum }) };
        }),
      );
  }

  /** The sum of a metric over all series that have these attributes; undefined if there is none. */
  async value(name: string, having: Attributes = {}): Promise<number | undefined> {
    const found = (await this.series()).filter(
      (one) =>
        one.name === `nestjs_vault.${name}` &&
        Object.entries(having).every(([key, value]) => one.attributes[key] === value),
    );
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
  }

  end(): void {
    this.instrumentation.disable();
  }
}
