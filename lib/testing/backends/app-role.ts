import { randomUUID } from 'node:crypto';
import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { inNetworks } from '../server/addresses.js';
import type { ServerContext } from '../server/server-context.js';
import { secondsField } from '../server/ttl.js';
import { collected, notFound, Refusal } from '../server/refusal.js';
import { list, text } from '../server/fields.js';
import { route } from '../server/route.js';

/** Parts of the server that this auth method uses. */
type Server = Pick<ServerContext, 'time' | 'tokens' | 'vault'>;

interface SecretId {
  id: string;
  accessor: string;
  /** Remaining logins; Infinity if they are not counted. */
  uses: number;
  numUses: number;
  ttl: number;
  /** Milliseconds of the server. */
  createdAt: number;
  expires: number;
  metadata: Record<string, string>;
  cidrs: string[];
  tokenCidrs: string[];
}

interface Role {
  name: string;
  roleId: string;
  body: Record<string, unknown>;
  secretIds: Map<string, SecretId>;
  /** Failed logins in a row, and the end of the lock-out. */
  failures: number;
  lockedUntil: number;
}

const LOCK_OUT_AFTER = 5;
const LOCK_OUT = 15 * 60_000;

const refused = () => new Refusal(400, 'invalid role or secret ID');

/** The AppRole auth method. */
export class AppRole implements Backend {
  readonly type = 'approle';
  readonly #server: Server;
  readonly #roles = new Map<string, Role>();
  readonly #byRoleId = new Map<string, Role>();

  constructor(server: Server) {
    this.#server = server;
  }

  open(path: string): boolean {
    return path === 'login';
  }

  exists({ path }: Call): boolean {
    const [, name] = /^role\/([^/]+)$/.exec(path) ?? [];
    return name === undefined || this.#roles.has(name);
  }

  handle(call: Call): Maybe<Result | void> {
    return route(
      [
        [['update', 'read'], /^login$/, () => this.#login(call)],
        [['list'], /^role\/?$/, () => this.#list()],
        [['update'], /^role\/([^/]+)$/, (_, name = '') => this.#write(call, name)],
        [['read'], /^role\/([^/]+)$/, (_, name = '') => ({ data: this.#describe(this.#role(name)) })],
        [['delete'], /^role\/([^/]+)$/, (_, name = '') => this.#delete(name)],
        [
          ['read'],
          /^role\/([^/]+)\/role-id$/,
          (_, name = '') => ({ data: { role_id: this.#role(name).roleId } }),
        ],
        [['update'], /^role\/([^/]+)\/role-id$/, (_, name = '') => this.#setRoleId(call, name)],
        [
          ['update'],
          /^role\/([^/]+)\/(?:custom-)?secret-id$/,
          (_, name = '') => this.#newSecretId(call, name),
        ],
        [['update'], /^role\/([^/]+)\/secret-id\/lookup$/, (_, name = '') => this.#lookUp(call, name)],
        [
          ['update', 'delete'],
          /^role\/([^/]+)\/secret-id\/destroy$/,
          (_, name = '') => void this.#role(name).secretIds.delete(text(call.body['secret_id'])),
        ],
        [
          ['list'],
          /^role\/([^/]+)\/secret-id\/?$/,
          (_, name = '') => ({
            data: { keys: [...this.#role(name).secretIds.values()].map(({ accessor }) => accessor) },
          }),
        ],
      ],
      call,
    );
  }

  #role(name: string): Role {
    const role = this.#roles.get(name);
    if (!role) throw notFound();
    return role;
  }

  #list(): Result {
    if (this.#roles.size === 0) throw notFound();
    return { data: { keys: [...this.#roles.keys()].sort() } };
  }

  #write({ body }: Call, name: string): void {
    for (const field of ['token_ttl', 'token_max_ttl', 'token_period', 'secret_id_ttl'])
      secondsField(body, field);
    const role = this.#roles.get(name);
    if (role) return void Object.assign(role.body, body);
    const roleId = text(body['role_id']) || randomUUID();
    const created = { name, roleId, body: { ...body }, secretIds: new Map(), failures: 0, lockedUntil: 0 };
    this.#roles.set(name, created);
    this.#byRoleId.set(roleId, created);
  }

  #delete(name: string): void {
    const role = this.#roles.get(name);
    if (role) this.#byRoleId.delete(role.roleId);
    this.#roles.delete(name);
  }

  #setRoleId({ body }: Call, name: string): void {
    const role = this.#role(name);
    this.#byRoleId.delete(role.roleId);
    role.roleId = text(body['role_id']);
    this.#byRoleId.set(role.roleId, role);
  }

  #newSecretId({ body }: Call, name: string): Result {
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(404, `role "${name}" does not exist`);
    if (role.body['bind_secret_id'] === false)
      throw new Refusal(400, 'bind_secret_id is not set on the role');
    const ttl = secondsField(body, 'ttl') || secondsField(role.body, 'secret_id_ttl');
    const numUses = Number(body['num_uses'] ?? role.body['secret_id_num_uses'] ?? 0);
    const { now } = this.#server.time;
    const secretId: SecretId = {
      id: text(body['secret_id']) || randomUUID(),
      accessor: randomUUID(),
      numUses,
      uses: numUses || Infinity,
      ttl,
      createdAt: now,
      expires: ttl ? now + ttl * 1000 : Infinity,
      metadata: body['metadata'] ? (JSON.parse(text(body['metadata'])) as Record<string, string>) : {},
      cidrs: list(body['cidr_list']),
      tokenCidrs: list(body['token_bound_cidrs']),
    };
    role.secretIds.set(secretId.id, secretId);
    return {
      data: {
        secret_id: secretId.id,
        secret_id_accessor: secretId.accessor,
        secret_id_num_uses: numUses,
        secret_id_ttl: ttl,
      },
    };
  }

  #lookUp({ body }: Call, name: string): Result | void {
    const secretId = this.#role(name).secretIds.get(text(body['secret_id']));
    if (!secretId) return;
    const created = this.#server.time.date(secretId.createdAt);
    return {
      data: {
        cidr_list: secretId.cidrs,
        creation_time: created,
        expiration_time: secretId.ttl ? this.#server.time.date(secretId.expires) : '0001-01-01T00:00:00Z',
        last_updated_time: created,
        metadata: secretId.metadata,
        secret_id_accessor: secretId.accessor,
        secret_id_num_uses: secretId.numUses,
        secret_id_ttl: secretId.ttl,
        token_bound_cidrs: secretId.tokenCidrs,
      },
    };
  }

  #login({ body, source, namespace, fullPath, operation }: Call): Result {
    const { time, tokens, vault } = this.#server;
    const { now } = time;
    const roleId = text(body['role_id']).trim();
    if (!roleId || operation === 'read')
      throw new Refusal(500, vault ? 'failed to determine alias name from login request' : 'missing role_id');
    const role = this.#byRoleId.get(roleId);
    if (!role) throw refused();
    if (role.lockedUntil > now) throw new Refusal(403, 'permission denied');
    const bindSecretId = role.body['bind_secret_id'] !== false;
    const secretId = bindSecretId ? this.#use(role, text(body['secret_id']).trim()) : undefined;
    if (secretId && secretId.cidrs.length > 0 && !inNetworks(source, secretId.cidrs)) {
      const how = secretId.numUses > 0 ? 'by' : 'through';
      throw new Refusal(
        400,
        `source address "${source}" unauthorized ${how} CIDR restrictions on the secret ID` +
          (secretId.numUses > 0 ? ': %!w(<nil>)' : ''),
      );
    }
    const cidrs = list(role.body['secret_id_bound_cidrs']);
    if (cidrs.length > 0 && !inNetworks(source, cidrs)) {
      throw new Refusal(
        400,
        `source address "${source}" unauthorized by CIDR restrictions on the role: %!w(<nil>)`,
      );
    }
    role.failures = 0;
    const fields = role.body;
    const init = {
      policies: [...new Set([...list(fields['token_policies'] ?? fields['policies']), 'default'])]
        .filter((name) => name !== 'default' || fields['token_no_default_policy'] !== true)
        .sort(),
      path: fullPath,
      namespace,
      displayName: 'approle',
      meta: { role_name: role.name, ...secretId?.metadata },
      login: true,
      type: text(fields['token_type']) === 'batch' ? ('batch' as const) : ('service' as const),
      uses: Number(fields['token_num_uses'] ?? 0),
      period: secondsField(fields, 'token_period'),
      ttl: secondsField(fields, 'token_ttl'),
      maxTtl: secondsField(fields, 'token_max_ttl'),
      explicitMaxTtl: secondsField(fields, 'token_explicit_max_ttl'),
      boundCidrs: secretId?.tokenCidrs.length ? secretId.tokenCidrs : list(fields['token_bound_cidrs']),
      renewalTtl: () => {
        const present = this.#roles.get(role.name);
        if (!present)
          throw new Refusal(
            500,
            collected(`failed to renew entry: role "${role.name}" does not exist during renewal`),
          );
        return secondsField(present.body, 'token_ttl');
      },
    };
    const { token, warnings } = tokens.create(init);
    return { auth: token, warnings };
  }

  /** Counts a use of a secret_id; too many invalid ones lock the role_id out. */
  #use(role: Role, id: string): SecretId {
    if (!id) throw new Refusal(400, 'missing secret_id');
    const secretId = role.secretIds.get(id);
    const { now } = this.#server.time;
    if (!secretId || secretId.expires <= now) {
      if (++role.failures >= LOCK_OUT_AFTER) {
        role.failures = 0;
        role.lockedUntil = now + LOCK_OUT;
      }
      throw refused();
    }
    if (--secretId.uses <= 0) role.secretIds.delete(id);
    return secretId;
  }

  #describe({ body }: Role): object {
    const number = (field: string) => secondsField(body, field);
    return {
      bind_secret_id: body['bind_secret_id'] !== false,
      local_secret_ids: false,
      secret_id_bound_cidrs: body['secret_id_bound_cidrs'] ? list(body['secret_id_bound_cidrs']) : null,
      secret_id_num_uses: Number(body['secret_id_num_uses'] ?? 0),
      secret_id_ttl: number('secret_id_ttl'),
      token_bound_cidrs: list(body['token_bound_cidrs']),
      token_explicit_max_ttl: number('token_explicit_max_ttl'),
      token_max_ttl: number('token_max_ttl'),
      token_no_default_policy: body['token_no_default_policy'] === true,
      token_num_uses: Number(body['token_num_uses'] ?? 0),
      token_period: number('token_period'),
      token_policies: list(body['token_policies'] ?? body['policies']),
      ...(!this.#server.vault && { token_strictly_bind_ip: body['token_strictly_bind_ip'] === true }),
      token_ttl: number('token_ttl'),
      token_type: text(body['token_type']) || 'default',
    };
  }
}
