import { setTimeout as sleep } from 'node:timers/promises';
import { expect, type TestContext } from 'vitest';
import type { Application } from '../soak/application.js';
import type { Load } from '../soak/load.js';
import { tally } from '../soak/summary.js';
import { Probes, type Probed } from './probes.js';
import type { Row } from './rows.js';

const LOOK_EVERY = 50;
/** Recovery is complete after so many milliseconds without a failure, with status `up`. */
const QUIET = 3_000;
const PATIENCE = 30_000;

/** One application that suffers a fault. */
export class Subject {
  readonly app: Application;
  readonly load: Load;
  readonly #probes: Probes;
  readonly #setting: string;
  /** Requests to Vault before the fault. */
  #before = { total: 0, failed: 0 };
  #faultAt = Date.now();
  #stopped = false;

  constructor(app: Application, load: Load, setting: string) {
    this.app = app;
    this.load = load;
    this.#setting = setting;
    this.#probes = new Probes(app.url, (text) => app.expectNoSecrets(text));
  }

  /** Waits until the next renewal of the lease is at most so many milliseconds ahead. */
  async untilDue(within: number): Promise<void> {
    for (;;) {
      const { next } = (await this.app.status()).leases[0] ?? {};
      const left = next?.action === 'renew' && next.at ? new Date(next.at).getTime() - Date.now() : Infinity;
      if (left > 0 && left <= within) return;
      await sleep(LOOK_EVERY);
    }
  }

  /**
   * Waits until at most so many milliseconds of the lease are left. Waits for a renewal first, as the first grant does
   * not include the time to drain.
   */
  async untilLeft(most: number): Promise<void> {
    for (;;) {
      const { validUntil } = (await this.app.status()).leases[0] ?? {};
      const renewed = this.app.reports('event').some(({ event }) => event === 'renewed');
      if (renewed && validUntil && new Date(validUntil).getTime() - Date.now() <= most) return;
      await sleep(LOOK_EVERY);
    }
  }

  /** Waits for so many events of a type since the fault. */
  async untilEvents(type: string, count: number): Promise<void> {
    for (const end = Date.now() + PATIENCE; this.events(type).length < count; await sleep(LOOK_EVERY)) {
      if (Date.now() > end) throw new Error(`There were ${this.events(type).length} events ${type}.`);
    }
  }

  /** Starts the measurement. */
  async fault(): Promise<void> {
    this.#before = await this.app.requests();
    this.#faultAt = Date.now();
  }

  /** Events by type since the fault. */
  events(type: string): { at: number; reason?: string; error?: string }[] {
    return this.app.reports('event').filter(({ event, at }) => event === type && at >= this.#faultAt);
  }

  poolEvents(type: string): { at: number; count?: number }[] {
    return this.app.reports('pool').filter(({ event, at }) => event === type && at >= this.#faultAt);
  }

  /**
   * Waits until everything works again, ends load and application, and returns the row.
   *
   * @param since the earliest moment of recovery: the end of an outage, the action of an operator
   */
  async outcome(context: TestContext, fault: string, since: number, note?: string): Promise<Row> {
    await this.settled(since);
    await this.load.stop();
    // Before the end, which the status reports, too.
    const row = await this.row(context, fault, since, note);
    await this.stop();
    return row;
  }

  /** Waits until everything works again; the load goes on. */
  async settled(since: number): Promise<void> {
    for (const end = Date.now() + PATIENCE; Date.now() < end; await sleep(LOOK_EVERY)) {
      const last = Math.max(since, ...this.load.failures().map(({ ended }) => ended));
      if (Date.now() - last > QUIET && this.app.healths.at(-1)?.health === 'up') break;
    }
  }

  /** The row of the table since the fault. */
  async row(context: TestContext, fault: string, since: number, note?: string): Promise<Row> {
    const { total, failed } = await this.app.requests();
    const failures = this.load.failures(this.#faultAt);
    const row: Row = {
      fault,
      setting: this.#setting,
      sent: this.load.results.filter(({ ended }) => ended >= this.#faultAt).length,
      failed: failures.length,
      codes: tally(failures.flatMap(({ code }) => (code === undefined ? [] : [code]))),
      recovered: Math.max(0, ...failures.map(({ ended }) => Math.round(ended - since))),
      statusUp: this.#upAgain(since),
      said: this.app.reasons(this.#faultAt),
      replaced: this.#replaced(),
      lasted: Date.now() - this.#faultAt,
      requests: { total: total - this.#before.total, failed: failed - this.#before.failed },
      probes: this.#probes.summary(this.#faultAt),
      ...(note && { note }),
    };
    (context.task.meta.chaos ??= []).push(row);
    return row;
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.load.stop();
    const at = Date.now();
    await this.app.stop();
    await this.#probes.untilRefused();
    expectDrained(this.#probes.answers.filter((one) => one.at > at));
  }

  #replaced(): string[] {
    const logins = this.events('login').map(({ reason }) => `login: ${reason}`);
    const rotated = this.events('rotated').map(({ reason }) => `rotated: ${reason}`);
    return [...new Set([...logins, ...rotated])];
  }

  /** Milliseconds until the status was `up` again: 0 if it always was, Infinity if it never was again. */
  #upAgain(since: number): number {
    const { healths } = this.app;
    const last = healths.findLastIndex(({ health }) => health !== 'up');
    if (last < 0) return 0;
    const up = healths[last + 1];
    return up ? Math.max(0, up.at - since) : Infinity;
  }
}

/** While the application drains, it is not ready, and does not become ready again. */
function expectDrained(answers: readonly Probed[]): void {
  const ready = answers.map((one) => one.ready).filter((status) => status > 0);
  const first = ready.indexOf(503);
  expect(first, `readiness after SIGTERM: ${ready.join(', ')}`).toBeGreaterThanOrEqual(0);
  expect(ready.slice(first)).not.toContain(200);
}
