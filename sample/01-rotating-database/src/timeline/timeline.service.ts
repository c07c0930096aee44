import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { CredentialsService, type VaultEvent } from 'nestjs-vault';
import { LoadService } from '../load/load.service.js';
import { describe } from './describe.js';
import {
  formatDuration,
  formatLine,
  formatMilliseconds,
  paint,
  shorten,
  WHO_WIDTH,
  type Line,
} from './format.js';

const STATUS_EVERY_MS = 5_000;

/** Prints each event of token and users, and the results of the queries. */
@Injectable()
export class TimelineService implements OnModuleDestroy {
  private readonly users = new Map<string, string>();
  private readonly counts = new Map<VaultEvent['type'], number>();
  private readonly startedAt = performance.timeOrigin;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly credentials: CredentialsService,
    private readonly load: LoadService,
  ) {}

  start(url: string): void {
    print(`Listening at ${url}/orders and ${url}/health. Ctrl-C ends it.\n`);
    print(
      paint(
        'quiet',
        formatLine('time', { tone: 'plain', event: 'event', who: 'who', until: '   for  until' }),
      ),
    );
    // First the events before this subscription, then later ones.
    for (const event of this.credentials.recentEvents) this.show(event);
    this.credentials.events$.subscribe({
      next: (event) => this.show(event),
      complete: () => this.summary(),
    });
    this.timer = setInterval(() => this.status(), STATUS_EVERY_MS);
  }

  onModuleDestroy(): void {
    if (!this.timer) return;
    clearInterval(this.timer);
    // Ends the line with the terminal's ^C.
    print('');
    this.line(Date.now(), { tone: 'end', event: 'shutdown', who: 'running queries finish' });
  }

  private show(event: VaultEvent): void {
    this.counts.set(event.type, this.count(event.type) + 1);
    if (event.type === 'issued') this.remember(event);
    this.line(
      event.at.getTime(),
      describe(event, (path, serial) => this.user(path, serial)),
    );
  }

  /** Keeps the user name of a lease, which is not secret here; the password is not copied. */
  private remember({ path, serial }: { path: string; serial: number }): void {
    const username = this.credentials.current<{ username?: string }>(path)?.data.reveal().username;
    if (username) this.users.set(`${path}#${serial}`, username);
  }

  private user(path: string, serial: number): string {
    return shorten(`#${serial} ${this.users.get(`${path}#${serial}`) ?? path}`, WHO_WIDTH - 1);
  }

  private status(): void {
    const { good, failed, latencies, lastFailure } = this.load;
    this.line(Date.now(), {
      tone: failed > 0 ? 'bad' : 'plain',
      event: 'queries',
      who: `${good} good, ${failed} failed`,
      until: `p99 ${formatMilliseconds(latencies.p99)}`,
      note: lastFailure ?? `max ${formatMilliseconds(latencies.max)}`,
    });
  }

  private summary(): void {
    const { good, failed, latencies, lastFailure } = this.load;
    const logins = this.count('login');
    const rows = [
      ['queries', `${good} good, ${failed} failed${lastFailure ? ` (the last: ${lastFailure})` : ''}`],
      ['latency', `p99 ${formatMilliseconds(latencies.p99)}, max ${formatMilliseconds(latencies.max)}`],
      ['users', `${this.count('issued')} issued, ${this.count('renewed')} renewals`],
      ['rotations', `${this.count('rotated')}`],
      ['logins', `${logins}, ${Math.max(0, logins - 1)} of them re-logins`],
    ];
    print(`\nSummary after ${formatDuration((Date.now() - this.startedAt) / 1000)}`);
    for (const [name = '', value = ''] of rows) print(`  ${name.padEnd(12)}${value}`);
  }

  private count(type: VaultEvent['type']): number {
    return this.counts.get(type) ?? 0;
  }

  private line(at: number, line: Line): void {
    print(formatLine(`${((at - this.startedAt) / 1000).toFixed(1)}s`, line));
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
