import { randomUUID } from 'node:crypto';
import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { ChannelWrapper } from 'amqp-connection-manager';
import type { ConfirmChannel, ConsumeMessage } from 'amqplib';
import { InjectCredentials, type Credentials } from 'nestjs-vault';
import type { RotatingAmqpConnection } from 'nestjs-vault/rabbitmq';
import { filter, firstValueFrom, Subject, timeout, type Observable } from 'rxjs';

export const RABBITMQ = Symbol('RABBITMQ');
const QUEUE = 'orders';
const LONGEST_MS = 10_000;

interface Order {
  id: string;
  item: string;
}

/** Sends orders to a queue and consumes them. */
@Injectable()
export class OrdersQueue implements OnModuleInit {
  private channel!: ChannelWrapper;
  /** Ids of the consumed orders. */
  private readonly taken$ = new Subject<string>();

  constructor(
    @Inject(RABBITMQ) private readonly connection: RotatingAmqpConnection,
    @InjectCredentials({ path: 'rabbitmq/creds/orders' })
    private readonly credentials$: Observable<Credentials<{ username: string }>>,
  ) {}

  async onModuleInit(): Promise<void> {
    this.channel = this.connection.createChannel({
      json: true,
      // Runs on each connection, so after each rotation.
      setup: (channel: ConfirmChannel) => channel.assertQueue(QUEUE),
    });
    await this.channel.consume(QUEUE, (message) => this.take(message));
    await this.channel.waitForConnect();
  }

  /** Sends an order; resolves when it has been consumed. */
  async place(item: string): Promise<void> {
    const order: Order = { id: randomUUID(), item };
    const taken = this.taken$.pipe(
      filter((id) => id === order.id),
      timeout(LONGEST_MS),
    );
    await Promise.all([
      firstValueFrom(taken),
      this.channel.sendToQueue(QUEUE, order, { timeout: LONGEST_MS }),
    ]);
  }

  /** The user of new connections. RabbitMQ has no command that returns the current user. */
  async user(): Promise<string> {
    const { data } = await firstValueFrom(this.credentials$);
    return data.reveal().username;
  }

  private take(message: ConsumeMessage): void {
    const { id } = JSON.parse(message.content.toString()) as Order;
    this.channel.ack(message);
    this.taken$.next(id);
  }
}
