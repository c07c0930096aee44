import { Injectable, type OnModuleDestroy } from '@nestjs/common';
import { CredentialsService } from 'nestjs-vault';
import { OrdersService } from './orders/orders.service.js';

/** A steady load of orders placed, listed and shipped, and a line whenever the user behind it has changed. */
@Injectable()
export class LoadService implements OnModuleDestroy {
  good = 0;
  failed = 0;
  private readonly running = new Set<Promise<void>>();
  private timers: NodeJS.Timeout[] = [];
  private user: string | undefined;

  constructor(
    private readonly orders: OrdersService,
    private readonly credentials: CredentialsService,
  ) {}

  start(): void {
    const work = [
      () => this.orders.place('tea'),
      () => this.orders.recent(),
      () => this.orders.ship(),
      () => this.look(),
    ];
    let count = 0;
    this.timers = [
      setInterval(() => this.run(work[count++ % work.length] as () => Promise<unknown>), 25),
      setInterval(() => print(`${this.good} good, ${this.failed} failed`), 5_000),
    ];
    this.credentials.events$.subscribe((event) => {
      if (event.type === 'rotated') print(`a new user is issued: ${event.reason}`);
    });
  }

  /** Before anything is taken down: no new queries, and those under way finish. */
  async onModuleDestroy(): Promise<void> {
    if (this.timers.length === 0) return;
    this.timers.forEach(clearInterval);
    await Promise.all(this.running);
    print(`${this.good} good, ${this.failed} failed, in all`);
  }

  private async look(): Promise<void> {
    const user = await this.orders.user();
    if (user === this.user) return;
    this.user = user;
    print(`queries run as ${user}`);
  }

  private run(work: () => Promise<unknown>): void {
    const one = work()
      .then(
        () => void this.good++,
        (error: Error) => {
          this.failed++;
          print(`failed: ${error.message}`);
        },
      )
      .finally(() => this.running.delete(one));
    this.running.add(one);
  }
}

function print(text: string): void {
  process.stdout.write(`${process.uptime().toFixed(1).padStart(6)} s  ${text}\n`);
}
