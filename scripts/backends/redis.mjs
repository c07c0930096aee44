import { provisionRedis, redisAvailable, startRedis, usersInRedis } from '../../test/support/redis.mjs';

export const title = 'Redis';
export const variable = 'REDIS_HOST';
export const look = 'ACL USERS, for names that begin with V_';
export const available = redisAvailable;
export const start = () => startRedis();

export async function setUp(vault, redis, { file, lease, approle }) {
  return provisionRedis(vault, redis, {
    roles: [{ name: 'cache', ...lease, creationStatements: [file('creation.json')] }],
    approleName: 'cache',
    policy: file('policy.hcl'),
    approle,
  });
}

export const where = ({ host, port }) => `${host}:${port}`;
export const env = ({ host, port }) => ({ REDIS_HOST: host, REDIS_PORT: String(port) });
export const users = usersInRedis;
