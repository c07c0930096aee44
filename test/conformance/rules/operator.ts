import { appRole } from '../../../lib/index.js';
import type { Credentials } from '../../../lib/leases/lease.js';
import type { Life, LoginSettings, RoleSettings, World } from '../world.js';
import { LONG, SECOND } from './rule.js';

/** Actions of operators while an application runs, by the API, so alike on every server. */

export type Snapshots = Credentials<{ username: string; password: string }>[];

/** The policy of the AppRole that connections log in with. */
export function policyOf(world: World): string {
  return world.vault ? 'simulated-everything' : world.name;
}

/** Removes one permission, which the policy `default` may have granted. */
export async function deny(world: World, path: string): Promise<void> {
  const at = `sys/policies/acl/${policyOf(world)}`;
  const { data } = await world.operator.api('GET', at);
  await world.operator.api('PUT', at, {
    policy: `${data.policy}\npath "${path}" { capabilities = ["deny"] }`,
  });
}

/** Changes the TTLs of the database role. */
export async function setTtls(world: World, { ttl, maxTtl }: RoleSettings): Promise<void> {
  await world.operator.api('POST', `database/roles/${world.name}`, { default_ttl: ttl, max_ttl: maxTtl });
}

/** Cuts the server off from the database of the role; resolves with a function that restores it. */
export async function databaseDown(world: World): Promise<() => Promise<void>> {
  const { vault, operator, name } = world;
  if (vault) {
    vault.databaseDown();
    return async () => vault.databaseDown(false);
  }
  const role = `database/roles/${name}`;
  const { data } = await operator.api('GET', role);
  await operator.api('POST', `database/config/${name}-away`, {
    plugin_name: 'postgresql-database-plugin',
    connection_url: 'postgresql://{{username}}:{{password}}@127.0.0.1:1/app?sslmode=disable',
    username: 'nobody',
    password: 'none',
    verify_connection: false,
    allowed_roles: ['*'],
  });
  await operator.api('POST', role, { db_name: `${name}-away` });
  return () => operator.api('POST', role, { db_name: data.db_name });
}

/** A login whose role can be removed: its tokens stay valid but cannot be renewed; logins go on by another role. */
export async function removableLogin(world: World, { ttl, maxTtl }: LoginSettings) {
  const { operator } = world;
  const [first, next] = [`auth/approle/role/${world.name}-first`, `auth/approle/role/${world.name}-next`];
  const ids = { role_id: `${world.name}-role`, secret_id: `${world.name}-secret` };
  const make = async (role: string) => {
    await operator.api('POST', role, {
      token_policies: [policyOf(world)],
      token_ttl: ttl,
      token_max_ttl: maxTtl,
    });
    await operator.api('POST', `${role}/role-id`, { role_id: ids.role_id });
    await operator.api('POST', `${role}/custom-secret-id`, { secret_id: ids.secret_id });
  };
  // `start` creates the method and the policy.
  await world.start({ role: LONG, watch: false });
  await make(first);
  return {
    auth: appRole({ roleId: ids.role_id, secretId: ids.secret_id }),
    remove: async () => {
      await operator.api('DELETE', first);
      await make(next);
    },
  };
}

/** Watches so many more secrets, of roles like that of the world; each has its first snapshot. */
export async function watchMore(world: World, life: Life, count: number): Promise<Snapshots[]> {
  const { data } = await world.operator.api('GET', `database/roles/${world.name}`);
  const { db_name, creation_statements, revocation_statements, default_ttl, max_ttl } = data;
  const all: Snapshots[] = [];
  for (let index = 1; index <= count; index++) {
    const name = `${world.name}-${index}`;
    const role = { db_name, creation_statements, revocation_statements, default_ttl, max_ttl };
    await world.operator.api('POST', `database/roles/${name}`, role);
    const seen: Snapshots = [];
    life.connection.leases
      .watch<{ username: string; password: string }>(`database/creds/${name}`, false)
      .subscribe((next) => seen.push(next));
    all.push(seen);
  }
  await world.until(() => all.every(({ length }) => length > 0), 5 * SECOND);
  return all;
}
