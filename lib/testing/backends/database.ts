import type { Backend, Call, Maybe, Result } from '../server/model.js';
import type { ServerContext } from '../server/server-context.js';
import { randomText } from '../server/ids.js';
import { listKeys } from './list-keys.js';
import { type DatabasePlugin, newPassword, pluginOf, runSql, type Statements } from './sql.js';
import { StaticRoles } from './static-roles.js';
import { secondsField } from '../server/ttl.js';
import { collected, notFound, Refusal } from '../server/refusal.js';
import { list, text } from '../server/fields.js';
import { type Route, route } from '../server/route.js';

/** Parts of the server that this engine uses. */
type Server = Pick<ServerContext, 'time' | 'leases' | 'database' | 'vault'>;

interface DynamicRole {
  body: Record<string, unknown>;
  /** Seconds. */
  ttl: number;
  maxTtl: number;
}

/** The database secrets engine; its users exist in a real database or in memory. */
export class Database implements Backend {
  readonly type = 'database';
  readonly #server: Server;
  readonly #configs = new Map<string, Record<string, unknown>>();
  readonly #roles = new Map<string, DynamicRole>();
  readonly #statics: StaticRoles;

  readonly #routes: readonly Route[];

  constructor(server: Server) {
    this.#server = server;
    this.#statics = new StaticRoles(server, (database) => this.#plugin(database));
    this.#routes = [
      [['read'], /^creds\/([^/]+)$/, (call, name = '') => this.#issue(call, name)],
      [['list'], /^config\/?$/, () => ({ data: { keys: listKeys(this.#configs.keys(), '') } })],
      [['read'], /^config\/([^/]+)$/, (_, name = '') => this.#readConfig(name)],
      [['update'], /^config\/([^/]+)$/, ({ body }, name = '') => void this.#configs.set(name, body)],
      [['delete'], /^config\/([^/]+)$/, (_, name = '') => void this.#configs.delete(name)],
      [['list'], /^roles\/?$/, () => ({ data: { keys: listKeys(this.#roles.keys(), '') } })],
      [['read'], /^roles\/([^/]+)$/, (_, name = '') => this.#readRole(name)],
      [['update'], /^roles\/([^/]+)$/, ({ body }, name = '') => this.#writeRole(name, body)],
      [['delete'], /^roles\/([^/]+)$/, (_, name = '') => void this.#roles.delete(name)],
      ...this.#statics.routes,
    ];
  }

  exists({ path }: Call): boolean {
    const [, kind, name = ''] = /^([^/]+)\/(.+)$/.exec(path) ?? [];
    if (kind === 'config') return this.#configs.has(name);
    if (kind === 'roles') return this.#roles.has(name);
    return kind !== 'static-roles' || this.#statics.has(name);
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  async #issue({ token, namespace, fullPath }: Call, name: string): Promise<Result> {
    const role = this.#roles.get(name);
    if (!role || !token) throw new Refusal(400, `unknown role: ${name}`);
    this.#checkAllowed(text(role.body['db_name']), name);
    const { time, leases, database } = this.#server;
    const ttls = () => {
      const present = this.#roles.get(name);
      if (!present) throw new Error(`could not find role with name "${name}"`);
      return present;
    };
    const config = text(role.body['db_name']);
    const username = this.#newUser(text(token.init.displayName ?? 'token'), name, config);
    const password = newPassword();
    const expires = time.now + leases.grant({ ttls, token }, time.now).ttl * 1000;
    const statements = list(role.body['creation_statements']);
    const running = runSql(
      this.#server,
      { database: config, role: name, kind: 'creation', statements },
      username,
      { password, expires },
    );
    await running?.catch(async (error: unknown) => {
      // A real server creates the user in one transaction.
      await this.#drop(name, username, role)?.catch(() => undefined);
      throw new Refusal(500, collected(`failed to execute query: ${(error as Error).message}`));
    });
    const lease = leases.create({
      path: fullPath,
      namespace,
      token,
      ttls,
      renew: (until) => this.#renew(name, username, until, role),
      end: () => this.#end(name, username, role),
    });
    database.users.set(username, { password, expires: () => lease.expires });
    return { lease, data: { password, username } };
  }

  #newUser(displayName: string, role: string, database: string): string {
    const { part, longest } = this.#plugin(database);
    const stamp = Math.floor(this.#server.time.now / 1000);
    return `v-${displayName.slice(0, part)}-${role.slice(0, part)}-${randomText(20)}-${stamp}`.slice(
      0,
      longest,
    );
  }

  #plugin(database: string): DatabasePlugin {
    return pluginOf(text(this.#configs.get(database)?.['plugin_name']));
  }

  #checkAllowed(config: string, name: string): void {
    const found = this.#configs.get(config);
    if (!found)
      throw new Refusal(500, collected(`failed to find entry for connection with name: "${config}"`));
    const allowed = list(found['allowed_roles']);
    if (!allowed.some((one) => one === name || (one.endsWith('*') && name.startsWith(one.slice(0, -1)))))
      throw new Refusal(500, collected(`"${name}" is not an allowed role`));
  }

  #renew(name: string, username: string, expires: number, issuedBy: DynamicRole): Maybe<void> {
    if (!this.#server.database.users.has(username))
      throw new Error(collected(`ERROR: role "${username}" does not exist (SQLSTATE 42704)`));
    const running = runSql(this.#server, this.#statements(name, 'renewal', issuedBy), username, { expires });
    return running?.catch((error: unknown) => {
      throw new Error(collected((error as Error).message));
    });
  }

  #end(name: string, username: string, issuedBy: DynamicRole): Maybe<void> {
    const running = this.#drop(name, username, issuedBy);
    const gone = () => void this.#server.database.users.delete(username);
    return running ? running.then(gone) : gone();
  }

  #drop(name: string, username: string, issuedBy: DynamicRole): Promise<void> | undefined {
    return runSql(this.#server, this.#statements(name, 'revocation', issuedBy), username);
  }

  /** Of the role as it is now; of a deleted role, as it was when it issued the user. */
  #statements(role: string, kind: 'renewal' | 'revocation', issuedBy: DynamicRole): Statements {
    const { body } = this.#roles.get(role) ?? issuedBy;
    const database = text(body['db_name']);
    const own = list(body[kind === 'renewal' ? 'renew_statements' : 'revocation_statements']);
    return { database, role, kind, statements: own.length > 0 ? own : this.#plugin(database)[kind] };
  }

  #writeRole(name: string, fields: Record<string, unknown>): void {
    const body = { ...this.#roles.get(name)?.body, ...fields };
    this.#roles.set(name, {
      body,
      ttl: secondsField(body, 'default_ttl'),
      maxTtl: secondsField(body, 'max_ttl'),
    });
  }

  #readRole(name: string): Result {
    const role = this.#roles.get(name);
    if (!role) throw notFound();
    const { body, ttl, maxTtl } = role;
    return {
      data: {
        creation_statements: list(body['creation_statements']),
        credential_type: 'password',
        db_name: text(body['db_name']),
        default_ttl: ttl,
        max_ttl: maxTtl,
        renew_statements: list(body['renew_statements']),
        revocation_statements: list(body['revocation_statements']),
        rollback_statements: list(body['rollback_statements']),
      },
    };
  }

  #readConfig(name: string): Result {
    const config = this.#configs.get(name);
    if (!config) throw notFound();
    const { vault } = this.#server;
    return {
      data: {
        allowed_roles: list(config['allowed_roles']),
        connection_details: {
          connection_url: text(config['connection_url']),
          ...(config['password_authentication'] !== undefined && {
            password_authentication: config['password_authentication'],
          }),
          username: text(config['username']),
        },
        ...(vault && { disable_automated_rotation: false }),
        password_policy: '',
        plugin_name: text(config['plugin_name']),
        plugin_version: '',
        root_credentials_rotate_statements: [],
        ...(vault && {
          rotation_period: 0,
          rotation_schedule: '',
          rotation_window: 0,
          skip_static_role_import_rotation: false,
        }),
        verify_connection: config['verify_connection'] !== false,
      },
    };
  }
}
