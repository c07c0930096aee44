import { once } from 'node:events';
import { inspect } from 'node:util';
import type { Channel, ConsumeMessage } from 'amqplib';
import { appRole, getCredentialsToken, VaultModule, type Credentials } from 'nestjs-vault';
import {
  createRotatingAmqpConnection,
  type PoolEvent,
  type RotatingAmqpConnection,
} from 'nestjs-vault/rabbitmq';
import { tap, type Observable } from 'rxjs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Applications } from '../support/applications.js';
import { figure, Load, pause, until } from '../support/driver-load.js';
import {
  provisionRabbitMq,
  startRabbitMq,
  usersInRabbitMq,
  type RabbitMqServer,
} from '../support/rabbitmq.mjs';
import { describeRabbitMq } from '../support/real-rabbitmq.js';
import { startOpenBao, type OpenBaoServer, type Provisioned } from '../support/servers.mjs';

describeRabbitMq('RabbitMQ', () => {
  let bao: OpenBaoServer;
  let rabbit: RabbitMqServer;
  let role: Provisioned;
  let url: string;
  const applications = new Applications();
  const passwords = new Set<string>();
  const users = new Set<string>();

  beforeAll(async () => {
    [bao, rabbit] = await Promise.all([startOpenBao(), startRabbitMq()]);
    role = await provisionRabbitMq(bao, rabbit);
    url = `amqp://${rabbit.host}:${rabbit.port}`;
  });
  afterAll(async () => {
    await applications.finish();
    await Promise.all([bao?.stop(), rabbit?.stop()]);
  });

  async function start() {
    const app = await applications.start({
      imports: [VaultModule.forRoot({ address: bao.address, auth: appRole(role) })],
      providers: [
        {
          provide: 'RABBITMQ',
          inject: [getCredentialsToken({ path: 'rabbitmq/creds/app' })],
          useFactory: (credentials$: Observable<Credentials>) =>
            createRotatingAmqpConnection(credentials$.pipe(tap(note)), url, { drain: 2_000 }),
        },
      ],
    });
    const connection = app.get<RotatingAmqpConnection>('RABBITMQ');
    const events: PoolEvent[] = [];
    connection.on('rotation', (event: PoolEvent) => events.push(event));
    for (const name of ['connect', 'disconnect', 'connectFailed']) {
      connection.on(name, (about: { connection?: unknown }) =>
        applications.note(inspect({ ...about, connection: undefined }, { depth: 9 })),
      );
    }
    return { app, connection, events };
  }
  function note({ data }: Credentials): void {
    const { username, password } = data.reveal() as { username: string; password: string };
    users.add(username);
    passwords.add(password);
    applications.guard(password);
  }
  const rotations = (events: PoolEvent[]) => events.filter(({ type }) => type === 'rotated').length;
  const lossless = (queue: string) => (channel: Channel) => channel.assertQueue(queue, { durable: true });
  /** Works on each message for 150 ms, and acknowledges it by the current channel. */
  async function consume(connection: RotatingAmqpConnection, queue: string) {
    const received: number[] = [];
    let redelivered = 0;
    const channel = connection.createChannel({ setup: lossless(queue) });
    const work = (message: ConsumeMessage) => {
      if (message.fields.redelivered) redelivered++;
      received.push(Number(message.content.toString()));
      setTimeout(() => channel.ack(message), 150);
    };
    await channel.consume(queue, work, { prefetch: 10 });
    return { received, redelivered: () => redelivered };
  }

  it('messages each 20 ms for 12 s: each is confirmed, and arrives once', async () => {
    const { app, connection, events } = await start();
    const consumer = await consume(connection, 'orders');
    // A common pattern: a new consumer in each set-up, on the channel of that set-up.
    const byHand: number[] = [];
    connection.createChannel({
      setup: async (channel: Channel) => {
        await channel.assertExchange('all', 'fanout');
        await channel.assertQueue('copies', { durable: true });
        await channel.bindQueue('copies', 'all', '');
        await channel.consume(
          'copies',
          (message) => {
            if (!message) return;
            byHand.push(Number(message.content.toString()));
            setTimeout(() => channel.ack(message), 50);
          },
          { exclusive: true },
        );
      },
    });
    const publisher = connection.createChannel({ setup: lossless('orders') });
    await publisher.addSetup((channel: Channel) => channel.assertExchange('all', 'fanout'));
    await pause(200);
    let connects = 0;
    connection.on('connect', () => connects++);
    let disconnects = 0;
    connection.on('disconnect', () => disconnects++);
    const orders = new Load((n) => publisher.sendToQueue('orders', String(n), { persistent: true }));
    const copies = new Load((n) => publisher.publish('all', '', String(n)));
    await pause(12_000);
    await Promise.all([orders.stop(), copies.stop()]);
    await until(() => consumer.received.length >= orders.count && byHand.length >= copies.count);
    figure(
      `rabbitmq: ${rotations(events)} rotations, ${orders.count + copies.count} messages confirmed, ` +
        `${orders.failures.length + copies.failures.length} failed; received ${consumer.received.length} and ` +
        `${byHand.length}, ${consumer.redelivered()} redelivered`,
    );
    expect(rotations(events)).toBeGreaterThanOrEqual(2);
    expect([...orders.failures, ...copies.failures]).toEqual([]);
    expect(consumer.received.toSorted((a, b) => a - b)).toEqual(orders.numbers);
    expect(byHand.toSorted((a, b) => a - b)).toEqual(copies.numbers);
    expect(consumer.redelivered()).toBe(0);
    expect({ connects, disconnects }).toEqual({ connects: rotations(events), disconnects: 0 });
    await app.close();
    expect(connection.isConnected()).toBe(false);
    await expect.poll(() => usersInRabbitMq(rabbit)).toEqual([]);
  }, 40_000);

  it('an operator revokes the lease: messages wait for new credentials, and none is lost', async () => {
    const { app, connection, events } = await start();
    const consumer = await consume(connection, 'revoked');
    const publisher = connection.createChannel({ setup: lossless('revoked') });
    const load = new Load((n) => publisher.sendToQueue('revoked', String(n)));
    await pause(300);
    const disconnected = once(connection, 'disconnect');
    await bao.api('POST', 'sys/leases/revoke-prefix/rabbitmq/creds/app');
    await disconnected;
    const recovered = await load.recovery();
    await load.stop();
    await until(() => new Set(consumer.received).size === load.count);
    figure(
      `rabbitmq: lease revoked: ${recovered} ms, ${load.failures.length} of ${load.count} messages failed, ` +
        `${consumer.received.length - load.count} arrived twice`,
    );
    expect(load.failures).toEqual([]);
    expect(recovered).toBeLessThan(10_000);
    expect(rotations(events)).toBeGreaterThanOrEqual(1);
    await app.close();
  });

  it('no secret is printed', async () => {
    await applications.finish();
    expect(passwords.size).toBeGreaterThan(3);
    await expect.poll(() => usersInRabbitMq(rabbit)).toEqual([]);
  });
});
