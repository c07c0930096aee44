import { createHistogram, performance } from 'node:perf_hooks';
import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { ConfigService } from '@nestjs/config';
import type { Configuration } from '../config/configuration.js';
import { OrdersRepository } from '../orders/orders.repository.js';

const REPORT_EVERY_MS = 5_000;
const REPORT_SECONDS = 2;

/** A steady load of real queries: places, lists and ships orders, and sometimes runs a slow report. */
@Injectable()
export class LoadService implements OnModuleDestroy {
  good = 0;
  failed = 0;
  /** The error of the last failed query. */
  lastFailure: string | undefined;

  private readonly latency = createHistogram();
  private readonly inFlight = new Set<Promise<void>>();
  private timers: NodeJS.Timeout[] = [];
  private count = 0;

  constructor(
    private readonly orders: OrdersRepository,
    private readonly config: ConfigService<Configuration, true>,
  ) {}

  start(): void {
    const interval = this.config.get('loadInterval', { infer: true });
    if (interval === 0) return;
    const kinds = [
      () => this.orders.place({ item: 'tea', quantity: 1 + (this.count % 9) }),
      () => this.orders.recent(),
      () => this.orders.ship(),
    ];
    this.timers = [
      setInterval(() => this.run(kinds[this.count++ % kinds.length] as () => Promise<unknown>), interval),
      // Slow on purpose, so it is counted, but its latency is not.
      setInterval(() => this.run(() => this.orders.report(REPORT_SECONDS), false), REPORT_EVERY_MS),
    ];
  }

  /** Runs first at shutdown: starts no new queries, and waits for running ones. */
  async onModuleDestroy(): Promise<void> {
    if (this.timers.length === 0) return;
    this.timers.forEach(clearInterval);
    await Promise.all(this.inFlight);
    process.stdout.write(`  queries     ${this.summary}\n`);
  }

  /** The counts, and the time from the call of the pool to the result. */
  get summary(): string {
    const { count, max } = this.latency;
    const latency =
      count > 0 ? `; p99 ${milliseconds(this.latency.percentile(99))}, max ${milliseconds(max)}` : '';
    const last = this.lastFailure === undefined ? '' : ` (the last: ${this.lastFailure})`;
    return `${this.good} good, ${this.failed} failed${last}${latency}`;
  }

  private run(query: () => Promise<unknown>, measured = true): void {
    const startedAt = performance.now();
    const running = query()
      .then(
        () => {
          this.good++;
          if (measured) this.latency.record(Math.max(1, Math.round((performance.now() - startedAt) * 1e6)));
        },
        (error: unknown) => {
          this.failed++;
          this.lastFailure = describe(error);
        },
      )
      .finally(() => this.inFlight.delete(running));
    this.inFlight.add(running);
  }
}

function milliseconds(nanoseconds: number): string {
  return `${(nanoseconds / 1e6).toFixed(1)} ms`;
}

function describe(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  return [code, message].filter(Boolean).join(' ');
}
