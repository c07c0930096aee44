import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { ChannelModel, ConfirmChannel } from 'amqplib';
import { ReplaySubject } from 'rxjs';
import type { DatabaseCredentials } from 'nestjs-vault';
import { createRotatingAmqpConnection, RotatingAmqpConnection } from 'nestjs-vault/rabbitmq';
import { afterAll, beforeAll, it } from 'vitest';
import { issueByHand, type Issued } from '../support/driver-load.js';
import { failure } from '../support/issued.js';
import { startRabbitMq, type RabbitMqServer } from '../support/rabbitmq.mjs';
import { describeRabbitMq } from '../support/real-rabbitmq.js';
import { Audit } from './audit.js';

describeRabbitMq('no printer shows a password of RabbitMQ', () => {
  const audit = new Audit('amqplib');
  let rabbit: RabbitMqServer;
  let url: string;
  const opened: RotatingAmqpConnection[] = [];

  beforeAll(async () => {
    rabbit = await startRabbitMq();
    url = `amqp://${rabbit.host}:${rabbit.port}`;
  });
  afterAll(async () => {
    audit.count();
    await Promise.all(opened.map((one) => one.close()));
    await rabbit?.stop();
  });

  const issue = async ({ create = true } = {}): Promise<Issued> => {
    const one = issueByHand('rabbitmq/creds/app');
    audit.guard(`the password of ${one.user}`, one.password);
    if (!create) return one;
    await rabbit.api('PUT', `users/${one.user}`, { password: one.password, tags: '' });
    await rabbit.api('PUT', `permissions/%2F/${one.user}`, { configure: '.*', write: '.*', read: '.*' });
    return one;
  };
  const stream = async (options?: { create: boolean }) => {
    const credentials$ = new ReplaySubject<DatabaseCredentials>(1);
    credentials$.next((await issue(options)).credentials);
    return credentials$;
  };
  const clean = () => audit.expectClean();

  it('of a connection, its channels, and its events', async () => {
    const credentials$ = await stream();
    const manager = await createRotatingAmqpConnection(credentials$, url);
    opened.push(manager);
    let channel: ConfirmChannel | undefined;
    const wrapper = manager.createChannel({
      setup: (one: ConfirmChannel) => {
        channel = one;
        return one.assertQueue('news', { durable: false });
      },
    });
    await wrapper.waitForConnect();
    const model = manager.connection as unknown as { connection: { stream: Socket } };
    const parts = () => ({
      manager,
      'channel wrapper': wrapper,
      'connection of amqplib': model,
      'inner connection of amqplib': model.connection,
      'stream of a connection': model.connection.stream,
      channel,
      'counters of a connection': manager.counters,
    });
    audit.printAll(parts());
    const connected = once(manager, 'connect');
    const rotated = once(manager, 'rotation');
    credentials$.next((await issue()).credentials);
    audit.printAll({
      "arguments of 'rotation'": await rotated,
      "arguments of 'connect'": await connected,
      ...parts(),
    });
    const other = await (model as unknown as ChannelModel).createChannel();
    other.on('error', () => undefined);
    audit.printAll({
      'error of a channel': await failure(other.checkQueue('nowhere')),
    });
    clean();
  });

  it('of a rejected login', async () => {
    const refused$ = await stream({ create: false });
    const manager = new RotatingAmqpConnection(refused$, url, { reconnectTimeInSeconds: 1 });
    opened.push(manager);
    const failed = once(manager, 'connectFailed');
    void manager.connect().catch(() => undefined);
    audit.printAll({
      "arguments of 'connectFailed'": await failed,
      'manager that is refused': manager,
      'refusal of a connection': await failure(createRotatingAmqpConnection(refused$, url)),
    });
    clean();
  });
});
