// The servers of each sample, with a file for each kind: its start, its set-up from the files of the sample, and its
// users. Runs in a fresh clone, so it imports nothing that must be installed first.

const postgres = () => import('./postgres.mjs');
const redis = () => import('./redis.mjs');

const SAMPLES = {
  '01-rotating-database': postgres,
  '02-typeorm': postgres,
  '03-prisma': postgres,
  '04-mariadb': () => import('./mariadb.mjs'),
  '05-knex': postgres,
  '06-sequelize': postgres,
  '07-drizzle': postgres,
  '08-kysely': postgres,
  '09-mikro-orm': postgres,
  '10-redis': redis,
  '11-ioredis': redis,
  '12-rabbitmq': () => import('./rabbitmq.mjs'),
  '13-mongodb': () => import('./mongodb.mjs'),
  '14-aws': () => import('./aws.mjs'),
};

export const NAMES = Object.keys(SAMPLES);
export const backendOf = (sample) => SAMPLES[sample]();
