import type { Kubernetes } from './backends/kubernetes.js';
import { CustomEngine, type SimulatedLeasedSecret } from './backends/custom-engine.js';
import type { Capability } from './server/acl.js';
import { seconds, type Duration } from './server/duration.js';
import { text } from './server/fields.js';
import type { Backend, Maybe, Namespace, Operation, Result, Token } from './server/model.js';
import type { LoginEnforcement } from './server/second-factors.js';
import type { Mounts, ServerContext } from './server/server-context.js';
import { jwtRole, kubernetesRole, type LoginRole } from './simulated-logins.js';
import type {
  AppRoleHandle,
  JwtRoleHandle,
  KubernetesRoleHandle,
  SimulatedAppRole,
  SimulatedJwtRole,
  SimulatedKubernetesRole,
  SimulatedToken,
} from './simulated-roles.js';

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
  /** Statements that the server runs with its function `sql`, if it has one. */
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
  /** Required without `rotationSchedule`. */
  rotationPeriod?: Duration;
  /** Cron expression in UTC, such as `'0 3 * * *'`. HashiCorp Vault only: OpenBao has no schedules. */
  rotationSchedule?: string;
  /** Time after a scheduled time in which a failed rotation is retried; at least one hour. @default until the next time */
  rotationWindow?: Duration;
  rotationStatements?: readonly string[];
}

/**
 * A KV secrets engine that was set up.
 *
 * @publicApi
 */
export interface KvHandle {
  /** Writes a secret (in version 2: its next version). */
  readonly put: (path: string, data: Record<string, unknown>) => void;
  /** Deletes a secret (in version 2: its latest version, which can be undeleted). */
  readonly delete: (path: string) => void;
}

/** Parts of the server that setting up uses. */
type Server = Pick<ServerContext, 'time' | 'leases' | 'wrapping' | 'vault' | 'secondFactors'>;

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
 * One namespace of a simulated server, with methods that set it up.
 *
 * @publicApi
 */
export class SimulatedNamespace {
  readonly #server: Server;
  readonly #mounts: Mounts;
  readonly #namespace: Namespace;

  /** @internal */
  constructor(server: Server, mounts: Mounts, namespace: Namespace) {
    this.#server = server;
    this.#mounts = mounts;
    this.#namespace = namespace;
  }

  /** Sets up an AppRole; another call with the same name changes it. */
  appRole(name: string, options: SimulatedAppRole = {}): AppRoleHandle {
    const { mount = 'approle', policies = this.#everything(), ...rest } = options;
    const role = `auth/${mount}/role/${name}`;
    this.#enable(`auth/${mount}`, 'approle');
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

  /**
   * Demands a TOTP code as second factor of all logins at an auth method, as a login enforcement does.
   *
   * @param mount mount of the auth method, below `auth/`
   * @param other another login enforcement, whose TOTP method it shares; without one it has a method of its own
   */
  loginEnforcement(name: string, mount: string, other?: LoginEnforcement): LoginEnforcement {
    return this.#server.secondFactors.enforce(name, this.#namespace, `auth/${mount}`, other);
  }

  /** Sets up a role of Kubernetes auth, and the service account that may use it; another call changes the role. */
  kubernetesRole(name: string, options: SimulatedKubernetesRole = {}): KubernetesRoleHandle {
    const { mount = 'kubernetes', policies = this.#everything(), ...rest } = options;
    const backend = this.#enable(`auth/${mount}`, 'kubernetes') as Kubernetes;
    return kubernetesRole(backend, this.#loginRole(mount, name, policies), rest);
  }

  /** Sets up a role of JWT auth, and the issuer of its JWTs; another call changes the role. */
  jwtRole(name: string, options: SimulatedJwtRole = {}): JwtRoleHandle {
    const { mount = 'jwt', policies = this.#everything(), ...rest } = options;
    this.#enable(`auth/${mount}`, 'jwt');
    return jwtRole(this.#loginRole(mount, name, policies), rest);
  }

  #loginRole(mount: string, name: string, policies: readonly string[]): LoginRole {
    const method = `auth/${mount}`;
    return {
      name,
      now: () => this.#server.time.now,
      configure: (body) => void this.#operate('update', `${method}/config`, body),
      write: (options) => {
        const body = { ...fields(options), token_policies: [...policies] };
        this.#operate('update', `${method}/role/${name}`, body);
      },
      delete: () => void this.#operate('delete', `${method}/role/${name}`),
    };
  }

  /** Creates a token without a parent and returns it. */
  token(options: SimulatedToken = {}): string {
    const { policies = this.#everything(), ...rest } = options;
    const body = { ...fields(rest), policies: [...policies], no_parent: true };
    return (this.#operate('update', 'auth/token/create', body).auth as Token).id;
  }

  /**
   * Writes a policy.
   *
   * @param rules HCL or JSON, or capabilities by path, such as `{ 'secret/data/*': ['read'] }`
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
   * Returns a KV secrets engine, mounted if missing.
   *
   * @param mount default `secret`, which exists from the start with version 2
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

  /** Sets up a dynamic database role: each read of `database/creds/<name>` creates a user. */
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
   * Sets up a secret of an engine that the simulation does not have: `leasedSecret('aws/creds/deploy', { ... })`. Each
   * read of the path, or write with parameters, creates a lease; the first part of the path is the mount.
   */
  leasedSecret(path: string, secret: SimulatedLeasedSecret): void {
    const [, mount = '', rest = ''] = /^([^/]+)\/(.+)$/.exec(path) ?? [];
    const { mounts } = this.#namespace;
    const engine = mounts.get(mount) ?? new CustomEngine(this.#server.leases);
    if (!(engine instanceof CustomEngine) || rest === '')
      throw new Error(`A leased secret cannot be set up at ${path}`);
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

  #enable(path: string, type: string): Backend {
    const { mounts } = this.#namespace;
    const method = mounts.get(path) ?? this.#mounts.authMethod(type);
    mounts.set(path, method);
    return method;
  }

  #operate(operation: Operation, path: string, body: object = {}): Result {
    return (this.#perform(operation, path, body) ?? {}) as Result;
  }

  /** Calls a backend as an operator would, without policies, faults and history. */
  #perform(operation: Operation, fullPath: string, body: object): Maybe<Result | void> {
    const namespace = this.#namespace;
    const found = namespace.find(fullPath);
    if (!found) throw new Error(`There is no mount at ${fullPath}`);
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

/** Converts option names to field names of the API. */
function fields(options: object): Record<string, unknown> {
  const named = Object.entries(options).map(([key, value]): [string, unknown] => [
    key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    value,
  ]);
  return Object.fromEntries(named.filter(([, value]) => value !== undefined));
}
