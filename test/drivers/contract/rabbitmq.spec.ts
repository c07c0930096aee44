import type { ConsumeMessage } from 'amqplib';
import { createRotatingAmqpConnection } from 'nestjs-vault/rabbitmq';
import { afterAll, beforeAll, vi } from 'vitest';
import { startRabbitMq, type RabbitMqServer } from '../../support/rabbitmq.mjs';
import { describeRabbitMq } from '../../support/real-rabbitmq.js';
import { poolContract, type Adapter, type ContractServer } from './contract.js';

describeRabbitMq('the contract of pools, on RabbitMQ', () => {
  let rabbit: RabbitMqServer;
  let queues = 0;
  beforeAll(async () => {
    rabbit = await startRabbitMq();
  });
  afterAll(() => rabbit?.stop());

  const users = async () => (await rabbit.api('GET', 'users')) as { name: string }[];
  const server = (): ContractServer => ({
    creation: ['users/{{name}} {"password":"{{password}}","tags":""}', 'permissions/%2F/{{name}}'],
    password: ['users/{{name}} {"password":"{{password}}","tags":""}'],
    revocation: ['DELETE users/{{name}}'],
    disconnect: 'DELETE connections/username/{{name}}',
    run: async (statement) => {
      const [first = '', second] = statement.split(' ');
      if (first === 'DELETE') return rabbit.api('DELETE', String(second)).catch(() => undefined);
      const all = { configure: '.*', write: '.*', read: '.*' };
      return rabbit.api('PUT', first, second ? JSON.parse(second) : all);
    },
    exists: async (user) => (await users()).some(({ name }) => name === user),
    connections: async (user) => {
      const list = (await rabbit.api('GET', 'connections')) as { user?: string }[];
      return list.filter((one) => one.user === user).length;
    },
    stop: () => rabbit.stop(),
  });

  const adapter: Adapter = {
    name: 'amqplib (amqp-connection-manager)',
    driver: 'amqp-connection-manager',
    async open(credentials$, { drain, onRotation, own }) {
      const host = `${rabbit.host}:${rabbit.port}`;
      const connection = await createRotatingAmqpConnection(
        credentials$,
        own === undefined ? `amqp://${host}` : `amqp://me:${own}@${host}`,
        { drain, reconnectTimeInSeconds: 1 },
      );
      connection.on('rotation', onRotation);
      const queue = `queue-${++queues}`;
      const channel = connection.createChannel({
        setup: (one: { assertQueue(name: string): Promise<unknown> }) => one.assertQueue(queue),
      });
      await channel.waitForConnect();
      return {
        // RabbitMQ refuses a message with the name of another user.
        whoami: async (expected) => {
          await channel.sendToQueue(queue, 'hello', expected === undefined ? {} : { userId: expected });
          return expected ?? 'confirmed';
        },
        work: async () => {
          const name = `work-${++queues}`;
          const messages: ConsumeMessage[] = [];
          await channel.addSetup((one: { assertQueue(name: string): Promise<unknown> }) =>
            one.assertQueue(name),
          );
          await channel.consume(name, (message) => messages.push(message));
          await channel.sendToQueue(name, 'work');
          await vi.waitFor(() => {
            if (messages.length === 0) throw new Error('No message yet.');
          });
          const again = () =>
            vi.waitFor(
              () => {
                if (messages.length < 2) throw new Error('The message was not delivered again.');
              },
              { timeout: 1_000 },
            );
          return {
            finish: async () => {
              const deliveredAgain = await again().then(
                () => true,
                () => false,
              );
              if (deliveredAgain) throw new Error('The message was delivered again.');
              channel.ack(messages[0] as ConsumeMessage);
            },
          };
        },
        end: () => connection.close(),
        counters: () => connection.counters,
        printed: [connection],
      };
    },
  };
  poolContract(adapter, server);
});
