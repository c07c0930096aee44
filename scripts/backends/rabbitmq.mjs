import {
  provisionRabbitMq,
  rabbitMqAvailable,
  startRabbitMq,
  usersInRabbitMq,
} from '../../test/support/rabbitmq.mjs';

export const title = 'RabbitMQ';
export const variable = 'RABBITMQ_URL';
export const look = 'rabbitmqctl list_users';
export const available = rabbitMqAvailable;
export const start = () => startRabbitMq();

export async function setUp(vault, rabbit, { file, lease, approle }) {
  return provisionRabbitMq(vault, rabbit, {
    role: 'orders',
    ttl: lease.defaultTtl,
    maxTtl: lease.maxTtl,
    vhosts: file('vhosts.json'),
    approleName: 'orders',
    policy: file('policy.hcl'),
    approle,
  });
}

export const where = ({ host, port }) => `${host}:${port}`;
export const env = ({ host, port }) => ({ RABBITMQ_URL: `amqp://${host}:${port}` });
export const users = usersInRabbitMq;
