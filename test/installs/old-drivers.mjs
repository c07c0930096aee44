// The tarball beside drivers older than its integrations require, with each package manager: it installs, an
// application that does not use them with Vault works, and one that does gets an error with a hint.
import { join } from 'node:path';
import { run } from './managers.mjs';
import { compile, project } from './project.mjs';

/** Old drivers, each with the subpath that uses it. */
export const OLD = {
  redis: ['5.8.0', 'redis'],
  mongodb: ['5.9.2', 'mongodb'],
  pg: ['8.11.0', 'pg'],
  ioredis: ['5.8.0', 'ioredis'],
  mysql2: ['3.14.0', 'mysql2'],
  knex: ['3.1.0', 'knex'],
  typeorm: ['0.3.17', 'typeorm'],
  'amqp-connection-manager': ['4.1.14', 'rabbitmq'],
};
/** Further packages that a driver needs, in recent versions. */
const ALSO = {
  'amqp-connection-manager': { amqplib: '0.10.3' },
  knex: { pg: '8.16.3' },
  typeorm: { pg: '8.16.3' },
};

/** @param names old drivers to install in one project */
export async function besideOld({ check, manager, names, context }) {
  const { managers, folder, tarball, nest, types } = context;
  const tool = managers[manager];
  const title = `${manager}, ${names.length > 1 ? `${names.length} old drivers` : `${names[0]} ${OLD[names[0]][0]}`}`;
  const own = Object.fromEntries(names.map((name) => [name, OLD[name][0]]));
  const also = Object.assign({}, ...names.map((name) => ALSO[name] ?? {}));
  const app = project(join(folder, title.replaceAll(/\W+/g, '-')), {
    dependencies: { ...nest('11'), ...also, ...own, 'nestjs-vault': `file:${tarball}` },
    devDependencies: types,
    fixtures: ['application.mjs', 'use.mjs', 'beside.ts'],
  });
  tool.prepare?.(app);
  const [command, args] = tool.install;
  const { ok, output } = await run(command, args, { cwd: app });
  if (!check(`${title}: installs`, ok, output)) return;
  for (const format of ['esm', 'cjs']) {
    const runs = await run(...tool.node(['application.mjs', format]), { cwd: app });
    check(`${title}: works without them, ${format}`, /^works$/m.test(runs.output) && runs.ok, runs.output);
    const used = await run(...tool.node(['use.mjs', format, ...names.map((name) => OLD[name][1])]), {
      cwd: app,
    });
    for (const name of names) {
      const [version, subpath] = OLD[name];
      const verdict = verdictOf(used.output, subpath);
      const refused =
        verdict?.code === 'VAULT_DRIVER_TOO_OLD' && verdict.text.startsWith(`${name} ${version} `);
      check(`${title}: ${name} is refused, ${format}: ${verdict?.code}`, refused, used.output);
    }
  }
  if (manager === 'npm' && names.includes('redis')) {
    const { ok: compiles, output: errors } = await compile(app, 'beside.ts');
    check(`${title}: the types`, compiles, errors);
  }
}

export function verdictOf(output, subpath) {
  const lines = output.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line)).find((one) => one.subpath === subpath);
}
