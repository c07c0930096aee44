import { isObject } from '../../client/answer-members.js';
import type { DevDatabase, DevServerFile } from '../../testing/dev-server-file.js';
import { seconds } from '../../testing/server/duration.js';
import { below, count, either, expected, flag, listOf, mapOf, objectOf, oneOf, text } from './checks.js';
import { databaseOf } from './database-url.js';

const duration = expected(`seconds, or a text such as '30s' or '1h'`, (value) => {
  if (typeof value === 'number') return value >= 0;
  try {
    return typeof value === 'string' && value !== '' && seconds(value) >= 0;
  } catch {
    return false;
  }
});
const statements = listOf(text);
/** A part of an API path. */
const mount = expected(
  'the name of a mount',
  (value) => typeof value === 'string' && /^[\w-]+(\/[\w-]+)*$/.test(value),
);
const url = expected(
  'a URL such as postgresql://user:password@127.0.0.1:5432/shop (or mysql://, mariadb://)',
  (value) => typeof value === 'string' && databaseOf(value) !== undefined,
);
const capability = oneOf('create', 'read', 'update', 'patch', 'delete', 'list', 'sudo', 'deny');
const secret = expected('an object of values', isObject);

const role = objectOf({
  defaultTtl: duration,
  maxTtl: duration,
  creationStatements: statements,
  revocationStatements: statements,
  renewStatements: statements,
});
const staticRole = objectOf(
  {
    username: text,
    rotationPeriod: duration,
    rotationSchedule: text,
    rotationWindow: duration,
    rotationStatements: statements,
  },
  ['username'],
);
const database = objectOf({
  url,
  prepare: statements,
  addressOnServer: expected(
    'host and port, such as postgres:5432',
    (value) => typeof value === 'string' && /^[^\s/@]+:\d+$/.test(value),
  ),
  mount,
  roles: mapOf(role),
  staticRoles: mapOf(staticRole),
});
const file = objectOf({
  dialect: oneOf('openbao', 'vault'),
  databases: mapOf(database),
  kv: mapOf(secret),
  kvMounts: mapOf(objectOf({ version: oneOf(1, 2), secrets: mapOf(secret) }, ['secrets'])),
  policies: mapOf(either(text, isObject, mapOf(listOf(capability)))),
  appRoles: mapOf(
    objectOf({
      roleId: text,
      policies: listOf(text),
      tokenTtl: duration,
      tokenMaxTtl: duration,
      tokenExplicitMaxTtl: duration,
      tokenPeriod: duration,
      tokenNumUses: count,
      tokenType: oneOf('service', 'batch'),
      tokenNoDefaultPolicy: flag,
    }),
  ),
  leasedSecrets: mapOf(
    objectOf({ ttl: duration, maxTtl: duration, renewable: flag, data: secret }, ['data']),
  ),
});

/**
 * Finds all problems of a file.
 *
 * @returns sentences, each with the path in the file and the expectation; without any value of the file
 */
export function problemsOf(given: unknown): string[] {
  const problems: string[] = [];
  const report = (path: string, problem: string) =>
    void problems.push(path === '' ? `it ${problem}` : `${path} ${problem}`);
  file(given, '', report);
  // The relations between parts make sense only if each part has its form.
  if (problems.length === 0) checkRelations(given as DevServerFile, report);
  return problems;
}

function checkRelations(given: DevServerFile, report: (path: string, problem: string) => void): void {
  for (const [name, one] of Object.entries(given.databases ?? {}))
    checkStatements(one, below('databases', name), report);
  const mounts = new Set(['secret', ...Object.keys(given.kvMounts ?? {})]);
  for (const { mount: one = 'database' } of Object.values(given.databases ?? {})) mounts.add(one);
  for (const path of Object.keys(given.leasedSecrets ?? {})) {
    const [, own] = /^([\w-]+)(?:\/[\w.-]+)+$/.exec(path) ?? [];
    if (own === undefined || mounts.has(own))
      report(below('leasedSecrets', path), 'must be below a mount of its own, such as rabbitmq/creds/orders');
  }
  const known = new Set(['default', 'root', ...Object.keys(given.policies ?? {})]);
  for (const [name, { policies = [] }] of Object.entries(given.appRoles ?? {}))
    for (const policy of policies)
      if (!known.has(policy))
        report(`${below('appRoles', name)}.policies`, `names "${policy}", which is not in \`policies\``);
}

function checkStatements(
  { url: address, prepare, roles = {}, staticRoles = {} }: DevDatabase,
  path: string,
  report: (path: string, problem: string) => void,
): void {
  if (address === undefined && prepare) report(`${path}.prepare`, 'needs a `url`');
  if (address !== undefined)
    for (const [name, { creationStatements = [] }] of Object.entries(roles))
      if (creationStatements.length === 0)
        report(
          `${below(`${path}.roles`, name)}.creationStatements`,
          'is missing: the SQL that creates a user with {{name}} and {{password}}',
        );
  for (const [name, { rotationPeriod, rotationSchedule }] of Object.entries(staticRoles))
    if (rotationPeriod === undefined && rotationSchedule === undefined)
      report(`${below(`${path}.staticRoles`, name)}.rotationPeriod`, `is missing, such as '1h'`);
}
