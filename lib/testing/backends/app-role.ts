import { randomUUID } from 'node:crypto';
import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { inNetworks } from '../server/addresses.js';
import type { ServerContext } from '../server/server-context.js';
import { secondsField } from '../server/ttl.js';
import { notFound, Refusal } from '../server/refusal.js';
import { list, text } from '../server/fields.js';
import { route } from '../server/route.js';
import { LockOut } from './lock-out.js';
import {
  checkTokenFields,
  describeTokenFields,
  loginToken,
  renewalRefused,
  tokenBounds,
} from './login-tokens.js';

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
}

const refused = () => new Refusal(400, 'invalid role or secret ID');

/** The AppRole auth method. */
export class AppRole implements Backend {
  readonly type = 'approle';
  readonly #server: Server;
  readonly #roles = new Map<string, Role>();
  readonly #byRoleId = new Map<string, Role>();
  readonly #lockOut: LockOut;

  constructor(server: Server) {
    this.#server = server;
    this.#lockOut = new LockOut(server.time);
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
    checkTokenFields(body);
    secondsField(body, 'secret_id_ttl');
    const role = this.#roles.get(name);
    if (role) return void Object.assign(role.body, body);
    const roleId = text(body['role_id']) || randomUUID();
    const created = { name, roleId, body: { ...body }, secretIds: new Map() };
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

  #login(call: Call): Result {
    const { body, source, operation } = call;
    const { tokens, vault } = this.#server;
    const roleId = text(body['role_id']).trim();
    if (!roleId || operation === 'read')
      throw new Refusal(500, vault ? 'failed to determine alias name from login request' : 'missing role_id');
    const role = this.#byRoleId.get(roleId);
    if (!role) throw refused();
    this.#lockOut.check(roleId);
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
    this.#lockOut.succeeded(roleId);
    const init = loginToken(call, role.body, {
      displayName: 'approle',
      meta: { role_name: role.name, ...secretId?.metadata },
      ...(secretId?.tokenCidrs.length && { boundCidrs: secretId.tokenCidrs }),
      renewal: () => {
        const present = this.#roles.get(role.name);
        if (!present) throw renewalRefused(`role "${role.name}" does not exist during renewal`);
        return tokenBounds(present.body);
      },
    });
    const { token, warnings } = tokens.create(init);
    return { auth: token, warnings };
  }

  /** Counts a use of a secret_id; too many invalid ones lock the role_id out. */
  #use(role: Role, id: string): SecretId {
    if (!id) throw new Refusal(400, 'missing secret_id');
    const secretId = role.secretIds.get(id);
    if (!secretId || secretId.expires <= this.#server.time.now) {
      this.#lockOut.failed(role.roleId);
      throw refused();
    }
    if (--secretId.uses <= 0) role.secretIds.delete(id);
    return secretId;
  }

  #describe({ body }: Role): object {
    return {
      bind_secret_id: body['bind_secret_id'] !== false,
      local_secret_ids: false,
      secret_id_bound_cidrs: body['secret_id_bound_cidrs'] ? list(body['secret_id_bound_cidrs']) : null,
      secret_id_num_uses: Number(body['secret_id_num_uses'] ?? 0),
      secret_id_ttl: secondsField(body, 'secret_id_ttl'),
      ...describeTokenFields(body, this.#server.vault),
    };
  }
}
