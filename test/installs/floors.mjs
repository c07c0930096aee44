// The tarball with the oldest accepted version of each driver: the types compile, and no driver is refused.
import { join } from 'node:path';
import { run } from './managers.mjs';
import { verdictOf } from './old-drivers.mjs';
import { compile, project } from './project.mjs';

const SUBPATHS = [
  'pg',
  'mysql2',
  'redis',
  'ioredis',
  'mongodb',
  'rabbitmq',
  'knex',
  'typeorm',
  'sequelize',
  'mikro-orm',
];

export async function atTheFloors({ check, floors, which, context }) {
  const { managers, folder, tarball, nest, types } = context;
  const versions = Object.fromEntries(Object.entries(floors).map(([name, all]) => [name, all.at(which)]));
  const orm = versions['@mikro-orm/postgresql'];
  const title = `the oldest versions, MikroORM ${orm}`;
  const app = project(join(folder, `floors-${orm}`), {
    dependencies: {
      ...nest('11'),
      ...versions,
      '@mikro-orm/core': orm,
      'nestjs-vault': `file:${tarball}`,
    },
    // amqplib has its own types from 1.2 on.
    devDependencies: { ...types, '@types/amqplib': '0.10.8' },
    fixtures: ['use.mjs', 'floors.ts'],
  });
  // Some libraries require newer versions of each other; this test ignores that.
  const [command, args] = managers.npm.install;
  const { ok, output } = await run(command, [...args, '--legacy-peer-deps', '--ignore-scripts'], {
    cwd: app,
  });
  if (!check(`${title}: npm install`, ok, output)) return;
  const { ok: compiles, output: errors } = await compile(app, 'floors.ts');
  check(`${title}: the types`, compiles, errors);
  for (const format of ['esm', 'cjs']) {
    const used = await run(process.execPath, ['use.mjs', format, ...SUBPATHS], { cwd: app });
    for (const subpath of SUBPATHS) {
      const { code } = verdictOf(used.output, subpath) ?? {};
      check(`${title}: ${subpath} is used, ${format}: ${code}`, CONNECTS.has(code), used.output);
    }
  }
}

/** The driver got as far as a refused connection. */
const CONNECTS = new Set(['ECONNREFUSED', 'MongoServerSelectionError', 'SequelizeConnectionRefusedError']);
