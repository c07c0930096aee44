import type { VaultClient } from '../../session/vault-client.js';
import type { DevAppRole, DevDatabase, DevKvMount, DevServerFile } from '../../testing/dev-server-file.js';
import { seconds } from '../../testing/server/duration.js';
import { Applier } from './apply.js';
import { connectionUrl, databaseOf, type DatabaseAddress } from './database-url.js';

/** Policy of the AppRoles that name none. */
const OWN_POLICY = 'nestjs-vault-dev';
const APPROLE = 'auth/approle';
const CAPABILITIES = ['read'] as const;

/** The role_id and the secret_id of an AppRole. */
export interface Login {
  readonly roleId: string;
  readonly secretId: string;
}

type NamedAppRole = [name: string, role: DevAppRole];

/** The AppRoles of a file; the first is the application's own. */
export function appRolesOf({ appRoles = {} }: DevServerFile): [NamedAppRole, ...NamedAppRole[]] {
  const [first = ['app', {}], ...others] = Object.entries(appRoles);
  return [first, ...others];
}

/**
 * Brings the content of a file to a server, simulated or real, by its API. Values that are there already stay as they
 * are, and so do tokens and leases.
 *
 * @param secretId secret_id of an AppRole
 * @param previous the file of the last time: what it has more is removed
 * @returns the changes, one line each
 */
export async function setUp(
  client: VaultClient,
  file: DevServerFile,
  secretId: (appRole: string) => string,
  previous?: DevServerFile,
): Promise<readonly string[]> {
  const applier = new Applier(client);
  for (const [mount, one] of kvMountsOf(file)) await setUpKv(applier, mount, one);
  for (const [name, one] of Object.entries(file.databases ?? {})) await setUpDatabase(applier, name, one);
  const policies = policiesOf(file);
  for (const [name, policy] of Object.entries(policies))
    await applier.put({ title: `policy ${name}`, path: `sys/policies/acl/${name}`, body: { policy } });
  await applier.mount(APPROLE, 'approle');
  for (const [name, role] of appRolesOf(file)) await setUpAppRole(applier, name, role, secretId(name));
  const kept = new Set(removable(file).map(([, path]) => path));
  for (const [title, path] of previous ? removable(previous) : [])
    if (!kept.has(path)) await applier.remove(title, path);
  return applier.changes;
}

async function setUpKv(applier: Applier, mount: string, { version = 2, secrets }: DevKvMount): Promise<void> {
  await applier.mount(mount, 'kv', { version: String(version) });
  for (const [path, values] of Object.entries(secrets)) {
    const title = `KV secret ${mount}/${path}`;
    // As the server returns it: without members that JSON leaves out.
    const plain = JSON.parse(JSON.stringify(values)) as Record<string, unknown>;
    if (version === 2) await applier.put({ title, path: `${mount}/data/${path}`, body: { data: plain } });
    // Version 1 replaces the whole secret, so a member that is left out is a difference.
    else
      await applier.put({
        title,
        path: `${mount}/${path}`,
        body: plain,
        shown: (present) => (Object.keys(present).every((key) => key in plain) ? present : {}),
      });
  }
}

async function setUpDatabase(applier: Applier, name: string, database: DevDatabase): Promise<void> {
  const { url, addressOnServer, mount = 'database', roles = {}, staticRoles = {} } = database;
  await applier.mount(mount, 'database');
  const address = url === undefined ? undefined : databaseOf(url);
  await applier.put({
    title: `connection to the database ${name}`,
    path: `${mount}/config/${name}`,
    body: { ...connectionFields(address, addressOnServer), allowed_roles: ['*'] },
    shown: ({ connection_details: details, ...rest }) => ({ ...rest, ...(details as object) }),
    ...(address && { hidden: { password: address.password } }),
  });
  for (const [role, fields] of Object.entries(roles))
    await applier.put({
      title: `database role ${role}`,
      path: `${mount}/roles/${role}`,
      body: {
        db_name: name,
        default_ttl: seconds(fields.defaultTtl),
        max_ttl: seconds(fields.maxTtl),
        creation_statements: fields.creationStatements ?? [],
        revocation_statements: fields.revocationStatements ?? [],
        renew_statements: fields.renewStatements ?? [],
      },
    });
  for (const [role, fields] of Object.entries(staticRoles))
    await applier.put({
      title: `static database role ${role}`,
      path: `${mount}/static-roles/${role}`,
      body: {
        db_name: name,
        username: fields.username,
        ...(fields.rotationPeriod !== undefined && { rotation_period: seconds(fields.rotationPeriod) }),
        ...(fields.rotationSchedule !== undefined && { rotation_schedule: fields.rotationSchedule }),
        ...(fields.rotationWindow !== undefined && { rotation_window: seconds(fields.rotationWindow) }),
        rotation_statements: fields.rotationStatements ?? [],
      },
    });
}

/** Without a database, the simulated server makes users like PostgreSQL's, in memory. */
function connectionFields(address: DatabaseAddress | undefined, onServer?: string): Record<string, unknown> {
  if (!address) return { plugin_name: 'postgresql-database-plugin' };
  return {
    plugin_name: address.kind.plugin,
    connection_url: connectionUrl(address, onServer),
    username: address.username,
  };
}

async function setUpAppRole(
  applier: Applier,
  name: string,
  role: DevAppRole,
  secretId: string,
): Promise<void> {
  const title = `AppRole ${name}`;
  const path = `${APPROLE}/role/${name}`;
  await applier.put({
    title,
    path,
    body: {
      token_policies: asStored(role.policies ?? [OWN_POLICY]),
      token_ttl: seconds(role.tokenTtl),
      token_max_ttl: seconds(role.tokenMaxTtl),
      token_explicit_max_ttl: seconds(role.tokenExplicitMaxTtl),
      token_period: seconds(role.tokenPeriod),
      token_num_uses: role.tokenNumUses ?? 0,
      token_type: role.tokenType ?? 'default',
      token_no_default_policy: role.tokenNoDefaultPolicy ?? false,
    },
  });
  await applier.put({
    title,
    path: `${path}/role-id`,
    body: { role_id: role.roleId ?? name },
  });
  const known = await applier.ask(`${path}/secret-id/lookup`, { secret_id: secretId });
  if (known !== undefined) return;
  await applier.ask(`${path}/custom-secret-id`, { secret_id: secretId });
  applier.note(title, 'changed');
}

/** Policies as the server stores them. */
const asStored = (policies: readonly string[]) =>
  [...new Set(policies.map((name) => name.toLowerCase()))].sort();

/** KV mounts of a file, with `secret` for its member `kv`. */
function kvMountsOf({ kv, kvMounts = {} }: DevServerFile): [string, DevKvMount][] {
  const own: [string, DevKvMount][] = kv ? [['secret', { secrets: kv }]] : [];
  return [...own, ...Object.entries(kvMounts)];
}

function policiesOf(file: DevServerFile): Record<string, string> {
  const given = Object.entries(file.policies ?? {}).map(([name, rules]) => [
    name,
    typeof rules === 'string' ? rules : hcl(rules),
  ]);
  const needed = appRolesOf(file).some(([, { policies }]) => policies === undefined);
  return {
    ...(Object.fromEntries(given) as Record<string, string>),
    ...(needed && {
      [OWN_POLICY]: hcl(Object.fromEntries(readablePaths(file).map((path) => [path, CAPABILITIES]))),
    }),
  };
}

/** The paths that an application reads. */
function readablePaths(file: DevServerFile): string[] {
  const databases = Object.values(file.databases ?? {}).flatMap(
    ({ mount = 'database', roles, staticRoles }) => [
      ...Object.keys(roles ?? {}).map((role) => `${mount}/creds/${role}`),
      ...Object.keys(staticRoles ?? {}).map((role) => `${mount}/static-creds/${role}`),
    ],
  );
  const secrets = kvMountsOf(file).flatMap(([mount, { version = 2, secrets: below }]) =>
    Object.keys(below).map((path) => (version === 2 ? `${mount}/data/${path}` : `${mount}/${path}`)),
  );
  return [...databases, ...secrets, ...Object.keys(file.leasedSecrets ?? {})];
}

function hcl(rules: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(rules)
    .map(
      ([path, capabilities]) =>
        `path ${JSON.stringify(path)} {\n  capabilities = ${JSON.stringify(capabilities)}\n}\n`,
    )
    .join('');
}

/** Values of a file that are removed when they leave it, with their path. */
function removable(file: DevServerFile): [title: string, path: string][] {
  const secrets = kvMountsOf(file).flatMap(([mount, { version = 2, secrets: below }]) =>
    Object.keys(below).map((path): [string, string] => [
      `KV secret ${mount}/${path}`,
      version === 2 ? `${mount}/metadata/${path}` : `${mount}/${path}`,
    ]),
  );
  const roles = Object.values(file.databases ?? {}).flatMap(({ mount = 'database', ...database }) => [
    ...Object.keys(database.roles ?? {}).map((role): [string, string] => [
      `database role ${role}`,
      `${mount}/roles/${role}`,
    ]),
    ...Object.keys(database.staticRoles ?? {}).map((role): [string, string] => [
      `static database role ${role}`,
      `${mount}/static-roles/${role}`,
    ]),
  ]);
  const policies = Object.keys(policiesOf(file)).map((name): [string, string] => [
    `policy ${name}`,
    `sys/policies/acl/${name}`,
  ]);
  const appRoles = appRolesOf(file).map(([name]): [string, string] => [
    `AppRole ${name}`,
    `${APPROLE}/role/${name}`,
  ]);
  return [...appRoles, ...roles, ...secrets, ...policies];
}
