import { CustomEngine, type SimulatedLeasedSecret } from './backends/custom-engine.js';
import type { Capability } from './server/acl.js';
import { seconds, type Duration } from './server/duration.js';
import { text } from './server/fields.js';
import type { Maybe, Namespace, Operation, Result, Token } from './server/model.js';
import type { Mounts, ServerContext } from './server/server-context.js';

/**
 * Options of an AppRole. Durations are seconds or texts like `'5m'`; 0 is none.
 *
 * @publicApi
 */
export interface SimulatedAppRole {
  /** Where the method is mounted, below `auth/` (default `approle`). */
  mount?: string;
  roleId?: string;
  /** Policies of the tokens besides `default` (default: one that may do everything but administer the server). */
  policies?: readonly string[];
  /** Default 0: 768h. */
  tokenTtl?: Duration;
  tokenMaxTtl?: Duration;
  tokenExplicitMaxTtl?: Duration;
  tokenPeriod?: Duration;
  /** Requests that a token may make (default 0: any number). */
  tokenNumUses?: number;
  tokenType?: 'service' | 'batch';
  tokenBoundCidrs?: readonly string[];
  tokenNoDefaultPolicy?: boolean;
  /** Default true. */
  bindSecretId?: boolean;
  /** Logins with one secret_id (default 0: any number). */
  secretIdNumUses?: number;
  secretIdTtl?: Duration;
  secretIdBoundCidrs?: readonly string[];
}

/**
 * A role that was set up, and its secrets.
 *
 * @publicApi
 */
export interface AppRoleHandle {
  readonly roleId: string;
  /** Makes a secret_id. */
  readonly secretId: () => string;
  /** Makes a secret_id and returns a wrapping token for it, as an orchestrator delivers it (default TTL 60 s). */
  readonly wrappedSecretId: (ttl?: Duration) => string;
  /** Ends a secret_id; tokens that were made with it live on. */
  readonly destroySecretId: (secretId: string) => void;
  /** Removes the role: its tokens live on, and cannot be renewed (status 500). */
  readonly delete: () => void;
}

/**
 * Options of a token that is given to an application.
 *
 * @publicApi
 */
export interface SimulatedToken {
  /** The token itself (default: a random one). */
  id?: string;
  policies?: readonly string[];
  /** Default 0: 768h. */
  ttl?: Duration;
  explicitMaxTtl?: Duration;
  period?: Duration;
  /** Requests it may make (default 0: any number). */
  numUses?: number;
  type?: 'service' | 'batch';
  /** Default true. */
  renewable?: boolean;
}

/**
 * Options of a dynamic database role.
 *
 * @publicApi
 */
export interface SimulatedDatabaseRole {
  /** Default `database`. */
  mount?: string;
  /** Default 0: 768h. */
  defaultTtl?: Duration;
  /** Default 0: 768h. */
  maxTtl?: Duration;
  /** Run with the function `sql` of the server, where there is one. */
  creationStatements?: readonly string[];
  revocationStatements?: readonly string[];
  renewStatements?: readonly string[];
}

/**
 * Options of a static database role, whose password the server rotates.
 *
 * @publicApi
 */
export interface SimulatedStaticRole {
  /** Default `database`. */
  mount?: string;
  username: string;
  /** This or `rotationSchedule`. */
  rotationPeriod?: Duration;
  /** As cron writes it, in UTC: `'0 3 * * *'`. HashiCorp Vault only: OpenBao has no schedules. */
  rotationSchedule?: string;
  /** At least an hour: for so long after a scheduled time a rotation that failed is tried again. @default until the next one */
  rotationWindow?: Duration;
  rotationStatements?: readonly string[];
}

/**
 * A KV secrets engine that was set up.
 *
 * @publicApi
 */
export interface KvHandle {
  /** Writes a secret (with version 2: the next version of it). */
  readonly put: (path: string, data: Record<string, unknown>) => void;
  /** Removes a secret; with version 2 its latest version, which can be undeleted. */
  readonly delete: (path: string) => void;
}

const EVERYTHING = `
path "*" { capabilities = ["create", "read", "update", "patch", "delete", "list"] }
path "sys/*" { capabilities = ["deny"] }
path "sys/leases/renew" { capabilities = ["update"] }
path "sys/leases/lookup" { capabilities = ["update"] }
path "sys/leases/revoke" { capabilities = ["update"] }
path "sys/capabilities-self" { capabilities = ["update"] }
path "sys/wrapping/+" { capabilities = ["update"] }
path "auth/*" { capabilities = ["deny"] }
path "auth/token/+" { capabilities = ["read", "update"] }
`;
const EVERYTHING_NAME = 'simulated-everything';

/**
 * One namespace of a simulated server, and what is set up in it.
 *
 * @publicApi
 */
export class SimulatedNamespace {
  readonly #server: ServerContext;
  readonly #mounts: Mounts;
  readonly #namespace: Namespace;

  /** @internal */
  constructor(server: ServerContext, mounts: Mounts, namespace: Namespace) {
    this.#server = server;
    this.#mounts = mounts;
    this.#namespace = namespace;
  }

  /** Sets up an AppRole; calling it again with the same name changes it. */
  appRole(name: string, options: SimulatedAppRole = {}): AppRoleHandle {
    const { mount = 'approle', policies = this.#everything(), ...rest } = options;
    const role = `auth/${mount}/role/${name}`;
    this.#mount(`auth/${mount}`, 'approle');
    this.#operate('update', role, { ...fields(rest), token_policies: [...policies] });
    const { role_id } = this.#operate('read', `${role}/role-id`).data as { role_id: string };
    const secretId = () => this.#operate('update', `${role}/secret-id`);
    return {
      roleId: role_id,
      secretId: () => (secretId().data as { secret_id: string }).secret_id,
      wrappedSecretId: (ttl = 60) => {
        const { vault } = this.#server;
        const envelope = { ...EMPTY, data: secretId().data, ...(vault && { mount_type: 'approle' }) };
        const namespace = this.#namespace;
        const path = `${role}/secret-id`;
        const info = this.#server.wrapping.wrap({ namespace }, path, envelope, seconds(ttl));
        return (info as { token: string }).token;
      },
      destroySecretId: (secret_id) =>
        void this.#operate('update', `${role}/secret-id/destroy`, { secret_id }),
      delete: () => void this.#operate('delete', role),
    };
  }

  /** Makes a token, as an operator would for an application, and returns it. */
  token(options: SimulatedToken = {}): string {
    const { policies = this.#everything(), ...rest } = options;
    const body = { ...fields(rest), policies: [...policies], no_parent: true };
    return (this.#operate('update', 'auth/token/create', body).auth as Token).id;
  }

  /**
   * Writes a policy.
   *
   * @param rules HCL or JSON, or capabilities by path, as `{ 'secret/data/*': ['read'] }`
   */
  policy(name: string, rules: string | Record<string, readonly Capability[]>): void {
    const source =
      typeof rules === 'string'
        ? rules
        : JSON.stringify({
            path: Object.fromEntries(
              Object.entries(rules).map(([path, capabilities]) => [path, { capabilities }]),
            ),
          });
    this.#namespace.setPolicy(name, source, this.#server.time.now);
  }

  /**
   * A KV secrets engine; made where there is none.
   *
   * @param mount default `secret`, which is there from the start with version 2
   * @param version default 2
   */
  kv(mount = 'secret', version: 1 | 2 = 2): KvHandle {
    this.#mount(mount, 'kv', version);
    const below = (path: string) => (version === 2 ? `${mount}/data/${path}` : `${mount}/${path}`);
    return {
      put: (path, data) => void this.#operate('update', below(path), version === 2 ? { data } : data),
      delete: (path) => void this.#operate('delete', below(path)),
    };
  }

  /** Sets up a dynamic database role: each read of `database/creds/<name>` makes a user. */
  databaseRole(name: string, options: SimulatedDatabaseRole = {}): void {
    const { mount = 'database', ...rest } = options;
    this.#database(mount);
    this.#operate('update', `${mount}/roles/${name}`, { db_name: 'simulated', ...fields(rest) });
  }

  /** Sets up a static database role, read at `database/static-creds/<name>`; resolves when its password is set. */
  async staticRole(name: string, options: SimulatedStaticRole): Promise<void> {
    const { mount = 'database', ...rest } = options;
    this.#database(mount);
    const body = { db_name: 'simulated', ...fields(rest) };
    await this.#perform('update', `${mount}/static-roles/${name}`, body);
  }

  /**
   * Sets up a secret of an engine that this server does not have: `leasedSecret('aws/creds/deploy', { ... })`. Each read
   * of the path makes a lease; the first part of the path is the mount.
   */
  leasedSecret(path: string, secret: SimulatedLeasedSecret): void {
    const [, mount = '', rest = ''] = /^([^/]+)\/(.+)$/.exec(path) ?? [];
    const { mounts } = this.#namespace;
    const engine = mounts.get(mount) ?? new CustomEngine(this.#server.leases);
    if (!(engine instanceof CustomEngine) || rest === '')
      throw new Error(`No leased secret can be at ${path}`);
    mounts.set(mount, engine);
    engine.set(rest, secret);
  }

  #everything(): string[] {
    if (!this.#namespace.policies.has(EVERYTHING_NAME))
      this.#namespace.setPolicy(EVERYTHING_NAME, EVERYTHING, this.#server.time.now);
    return [EVERYTHING_NAME];
  }

  #database(mount: string): void {
    this.#mount(mount, 'database');
    this.#operate('update', `${mount}/config/simulated`, {
      plugin_name: 'postgresql-database-plugin',
      allowed_roles: ['*'],
    });
  }

  #mount(path: string, type: string, version?: number): void {
    const { mounts } = this.#namespace;
    if (!mounts.has(path)) mounts.set(path, this.#mounts.backend(type, text(version)));
  }

  #operate(operation: Operation, path: string, body: object = {}): Result {
    return (this.#perform(operation, path, body) ?? {}) as Result;
  }

  /** Calls a backend as an operator would, without policies, faults and history. */
  #perform(operation: Operation, fullPath: string, body: object): Maybe<Result | void> {
    const namespace = this.#namespace;
    const found = namespace.find(fullPath);
    if (!found) throw new Error(`Nothing is mounted at ${fullPath}`);
    return found.backend.handle({
      operation,
      path: found.rest,
      fullPath,
      body: body as Record<string, unknown>,
      query: new URLSearchParams(),
      contentType: 'application/json',
      namespace,
      token: undefined,
      rawToken: '',
      source: '127.0.0.1',
    });
  }
}

const EMPTY = {
  request_id: '',
  lease_id: '',
  renewable: false,
  lease_duration: 0,
  data: null,
  wrap_info: null,
  warnings: null,
  auth: null,
};

/** Options in our names as fields in those of the API. */
function fields(options: object): Record<string, unknown> {
  const named = Object.entries(options).map(([key, value]): [string, unknown] => [
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}
