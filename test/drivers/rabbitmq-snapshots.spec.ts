import { once } from 'node:events';
import { inspect } from 'node:util';
import type { ChannelWrapper } from 'amqp-connection-manager';
import type { Channel, ConsumeMessage } from 'amqplib';
import type { DatabaseCredentials } from 'nestjs-vault';
import { createRotatingAmqpConnection, type PoolEvent } from 'nestjs-vault/rabbitmq';
import { ReplaySubject } from 'rxjs';
import { afterAll, beforeAll, it } from 'vitest';
import { issueByHand, Load, pause, until, type Issued } from '../support/driver-load.js';
import { goneBehindProxy } from '../support/gone-behind-proxy.js';
import { startRabbitMq, type RabbitMqServer } from '../support/rabbitmq.mjs';
import { describeRabbitMq } from '../support/real-rabbitmq.js';
import { startRewordingProxy } from '../support/rewording-proxy.js';

describeRabbitMq('RabbitMQ, snapshot by snapshot', () => {
  let rabbit: RabbitMqServer;
  let url: string;

  beforeAll(async () => {
    rabbit = await startRabbitMq();
    url = `amqp://${rabbit.host}:${rabbit.port}`;
  });
  afterAll(async () => {
    for (const credentials$ of open$) credentials$.complete();
    await rabbit?.stop();
  });

  const lossless = (queue: string) => (channel: Channel) => channel.assertQueue(queue, { durable: true });
  const open$: ReplaySubject<DatabaseCredentials>[] = [];
  const issue = async ({ create = true } = {}): Promise<Issued> => {
    const issued = issueByHand('rabbitmq/creds/app');
    if (create) await allow(issued);
    return issued;
  };
  const allow = async ({ user, password }: Issued) => {
    await rabbit.api('PUT', `users/${user}`, { password, tags: '' });
    await rabbit.api('PUT', `permissions/%2F/${user}`, { configure: '.*', write: '.*', read: '.*' });
  };
  const open = async (drain = 5_000) => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    open$.push(credentials$);
    const first = await issue();
    credentials$.next(first.credentials);
    const connection = await createRotatingAmqpConnection(credentials$, url, {
      drain,
      reconnectTimeInSeconds: 1,
    });
    const events: PoolEvent[] = [];
    connection.on('rotation', (event: PoolEvent) => events.push(event));
    const rotate = async () => {
      const next = await issue();
      const connected = once(connection, 'connect');
      credentials$.next(next.credentials);
      await connected;
      return next;
    };
    return { connection, credentials$, first, events, rotate };
  };
  const types = (events: PoolEvent[]) => events.map(({ type }) => type);
  const ready = (channel: ChannelWrapper) => channel.waitForConnect();

  it.concurrent(
    'an unacknowledged message holds its connection, at most for the drain window',
    async ({ expect }) => {
      const { connection, first, rotate, events } = await open(500);
      const channel = connection.createChannel({ setup: lossless('slow') });
      const messages: ConsumeMessage[] = [];
      await channel.consume('slow', (message) => messages.push(message));
      await channel.sendToQueue('slow', 'one');
      await until(() => messages.length === 1);
      await rotate();
      expect(connection.supersededCount).toBe(1);
      await until(() => first.holds === 0);
      expect(types(events)).toEqual(['rotated', 'drain-timeout']);
      expect(connection.counters).toMatchObject({ rotated: 1, 'drain-timeout': 1 });
      await until(() => messages.length === 2);
      // The first delivery does not belong to the newer channel, which would be closed for it.
      channel.ack(messages[0] as ConsumeMessage);
      channel.ack(messages[1] as ConsumeMessage);
      expect(messages[1]?.fields.redelivered).toBe(true);
      await channel.sendToQueue('slow', 'two');
      await until(() => messages.length === 3);
    },
  );

  it.concurrent(
    'an exclusive queue of the previous connection is set up again when that has closed',
    async () => {
      const { connection, rotate } = await open();
      const received: string[] = [];
      const channel = connection.createChannel({
        setup: async (one: Channel) => {
          await one.assertQueue('mine', { exclusive: true });
          await one.consume('mine', (message) => received.push(String(message?.content)), { noAck: true });
        },
      });
      channel.on('error', () => undefined);
      await ready(channel);
      const publisher = connection.createChannel();
      await publisher.sendToQueue('mine', 'before');
      await rotate();
      await until(async () => {
        await publisher.sendToQueue('mine', 'after');
        return received.includes('after');
      });
    },
  );

  it.concurrent('pending requests get their answers', async ({ expect }) => {
    const { connection, rotate } = await open();
    connection.createChannel({
      setup: async (one: Channel) => {
        await one.assertQueue('requests', { durable: true });
        await one.consume('requests', (message) => {
          if (!message) return;
          const { replyTo, correlationId } = message.properties;
          setTimeout(() => {
            one.sendToQueue(String(replyTo), message.content, { correlationId });
            one.ack(message);
          }, 200);
        });
      },
    });
    const answered = new Map<string, () => void>();
    const client = connection.createChannel({
      confirm: false,
      setup: async (one: Channel) => {
        await one.assertQueue('requests', { durable: true });
        const take = (message: ConsumeMessage | null) => answered.get(String(message?.content))?.();
        await one.consume('amq.rabbitmq.reply-to', take, { noAck: true });
      },
    });
    await ready(client);
    const load = new Load(async (n) => {
      const answer = new Promise<void>((resolve) => answered.set(String(n), resolve));
      await client.sendToQueue('requests', String(n), { replyTo: 'amq.rabbitmq.reply-to' });
      await Promise.race([answer, pause(2_000).then(() => Promise.reject(new Error('no answer')))]);
    });
    await pause(300);
    await rotate();
    await pause(300);
    await load.stop();
    expect(load.count).toBeGreaterThan(20);
    expect(load.failures).toEqual([]);
  });

  it.concurrent('messages that wait for a confirmation survive a broken connection', async ({ expect }) => {
    const { connection, first } = await open();
    const channel = connection.createChannel({ setup: lossless('broken') });
    await ready(channel);
    const sent = Promise.all([1, 2, 3].map((n) => channel.sendToQueue('broken', String(n))));
    await rabbit.api('DELETE', `users/${first.user}`);
    await allow(first);
    await expect(sent).resolves.toEqual([true, true, true]);
  });

  it.concurrent(
    'a message that RabbitMQ denies is rejected, not sent again and again',
    async ({ expect }) => {
      const { connection, first } = await open();
      const channel = connection.createChannel({ setup: lossless('denied') });
      await ready(channel);
      const permissions = { configure: '.*', write: '^$', read: '.*' };
      await rabbit.api('PUT', `permissions/%2F/${first.user}`, permissions);
      await expect(channel.sendToQueue('denied', 'one')).rejects.toThrow('channel closed');
      await until(() => connection.isConnected());
      expect(first.refused).toEqual([]);
    },
  );

  it.concurrent(
    'does not start with credentials that RabbitMQ rejects, without any, or without a broker',
    async ({ expect }) => {
      const wrong = await issue({ create: false });
      const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
      credentials$.next(wrong.credentials);
      const error: unknown = await createRotatingAmqpConnection(credentials$, url).catch(
        (one: unknown) => one,
      );
      expect(error).toMatchObject({ code: 'VAULT_CREDENTIALS_REJECTED', path: 'rabbitmq/creds/app' });
      expect(inspect(error, { depth: 9 })).not.toContain(wrong.password);
      const none$ = new ReplaySubject<DatabaseCredentials>(1);
      const none = createRotatingAmqpConnection(none$, url);
      none$.complete();
      await expect(none).rejects.toMatchObject({ code: 'VAULT_CLOSED' });
      const away = createRotatingAmqpConnection(credentials$, 'amqp://127.0.0.1:1');
      await expect(away).rejects.toMatchObject({ code: 'ECONNREFUSED' });
      expect(wrong.holds).toBe(0);
    },
  );

  it.concurrent('after close, another connect is rejected at once', async ({ expect }) => {
    const { connection, credentials$, first } = await open();
    await connection.close();
    await until(() => first.holds === 0);
    expect(credentials$.observed).toBe(false);
    const closed = expect.objectContaining({ code: 'VAULT_CLOSED', hint: expect.any(String) as string });
    await expect(connection.connect()).rejects.toEqual(closed);
    expect(() => connection.reconnect()).toThrow(closed);
    await expect(connection.ready()).rejects.toEqual(closed);
  });

  it.concurrent(
    'a proxy closes the socket in place of an answer to the login',
    async ({ onTestFinished }) => {
      const proxy = await startRewordingProxy(rabbit.port, (answer) =>
        answer.includes('ACCESS_REFUSED') ? undefined : answer,
      );
      onTestFinished(() => proxy.close());
      const users: string[] = [];
      await goneBehindProxy(
        {
          open: (credentials$) =>
            createRotatingAmqpConnection(credentials$, `amqp://127.0.0.1:${proxy.port}`, {
              reconnectTimeInSeconds: 1,
            }),
          close: (connection) => connection.close(),
          allow: async (issued) => {
            users.unshift(issued.user);
            await allow(issued);
          },
          drop: ({ user }) => rabbit.api('DELETE', `users/${user}`),
          // RabbitMQ checks the `userId` of a message.
          whoami: async (connection) => {
            for (const userId of users) {
              const channel = await connection.connection?.createConfirmChannel();
              channel?.on('error', () => undefined);
              channel?.publish('', 'nowhere', Buffer.from(''), { userId });
              const own = await channel?.waitForConfirms().then(
                () => true,
                () => false,
              );
              if (own) return userId;
            }
            throw new Error('not connected');
          },
        },
        onTestFinished,
      );
    },
  );

  it.concurrent('URLs must not name a user', async ({ expect }) => {
    const error: unknown = await createRotatingAmqpConnection(
      new ReplaySubject(1),
      'amqp://me:canary-in-the-url@localhost',
    ).catch((one: unknown) => one);
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(inspect(error)).not.toContain('canary');
  });
});
