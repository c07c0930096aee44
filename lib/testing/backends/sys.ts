import type { Backend, Call, Maybe, Result } from '../server/model.js';
import type { Mounts, ServerContext } from '../server/server-context.js';
import { health } from './sys-health.js';
import { adminRoutes } from './sys-admin.js';
import { leaseRoutes } from './sys-leases.js';
import { collected, Refusal } from '../server/refusal.js';
import { text } from '../server/fields.js';
import { type Route, route } from '../server/route.js';

/** Paths below sys/ that need no token and that a sealed server answers. */
const STATUS = new Set(['health', 'seal-status', 'leader', 'init', 'unseal']);
const WITHOUT_TOKEN = new Set([...STATUS, 'wrapping/lookup', 'wrapping/unwrap', 'mfa/validate']);

/** Whether a sealed server answers the path. */
export const answersSealed = (path: string) => path.startsWith('sys/') && STATUS.has(path.slice(4));

/** Whether the path needs the capability `sudo`, too. */
export const needsSudo = (path: string) =>
  /^(sys\/(seal$|auth\/|raw\/|revoke-prefix\/|revoke-force\/|leases\/(revoke-prefix|revoke-force|lookup)\/|audit)|auth\/token\/(accessors|revoke-orphan))/.test(
    path,
  );

/** The system backend `sys/`. */
export class Sys implements Backend {
  readonly type = 'system';
  readonly #server: ServerContext;
  readonly #routes: readonly Route[];

  constructor(server: ServerContext, mounts: Mounts) {
    this.#server = server;
    const { node, wrapping } = server;
    this.#routes = [
      ...leaseRoutes(server),
      [['read'], /^health$/, ({ query }) => health(server, query)],
      [['read'], /^seal-status$/, () => ({ bare: this.#sealStatus() })],
      [['read'], /^leader$/, () => ({ bare: this.#leader() })],
      [['read'], /^init$/, () => ({ bare: { initialized: node.state !== 'uninitialized' } })],
      [['update'], /^seal$/, () => void (node.sealed = true)],
      [['update'], /^unseal$/, (call) => this.#unseal(call)],
      [['update', 'read'], /^wrapping\/lookup$/, (call) => wrapping.lookUp(call)],
      [['update'], /^wrapping\/unwrap$/, (call) => wrapping.unwrap(call)],
      [['update'], /^wrapping\/wrap$/, ({ body }) => ({ data: body })],
      [['update'], /^wrapping\/rewrap$/, (call) => wrapping.rewrap(call)],
      [['update'], /^mfa\/validate$/, (call) => server.secondFactors.validate(call)],
      [['update'], /^capabilities-self$/, (call) => this.#capabilities(call)],
      ...adminRoutes(server, mounts),
    ];
  }

  open(path: string): boolean {
    return WITHOUT_TOKEN.has(path);
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #sealStatus(): object {
    const { vault, version, clusterId, node } = this.#server;
    const { sealed, state } = node;
    const initialized = state !== 'uninitialized';
    const keys = initialized ? 1 : 0;
    return {
      type: 'shamir',
      initialized,
      sealed,
      t: keys,
      n: keys,
      progress: 0,
      nonce: '',
      ...(vault && { version, build_date: '2026-01-01T00:00:00Z', migration: false }),
      ...(!vault && { recovery_seal: false, version, commit_date: '2026-01-01T00:00:00Z', migration: false }),
      ...(!sealed && { cluster_name: `vault-cluster-${clusterId}`, cluster_id: clusterId }),
      ...(vault && { recovery_seal: false }),
      storage_type: 'inmem',
    };
  }

  #leader(): object {
    const { vault, node } = this.#server;
    const { standby } = node;
    const own = { ha_enabled: standby !== undefined };
    const remote = { is_self: false, leader_address: standby?.leader ?? '', leader_cluster_address: '' };
    if (!vault) return standby ? { ...own, ...remote } : own;
    return {
      ...own,
      active_time: '0001-01-01T00:00:00Z',
      ...remote,
      performance_standby: false,
      performance_standby_last_remote_wal: 0,
    };
  }

  /** Unseals with any key of at least 16 bytes. */
  #unseal({ body }: Call): Result {
    if (this.#server.node.state === 'uninitialized') throw new Refusal(400, 'Vault is not initialized');
    const key = text(body['key']);
    if (!/^([0-9a-f]*|[0-9A-Za-z+/]*={0,2})$/i.test(key) || key === '')
      throw new Refusal(400, "'key' must be a valid hex or base64 string");
    if (key.length < 24) throw new Refusal(400, 'invalid key: key is shorter than minimum 16 bytes');
    this.#server.node.sealed = false;
    this.#server.time.expire();
    return { bare: this.#sealStatus() };
  }

  #capabilities({ body, token, namespace }: Call): Result {
    const requested = body['paths'] ?? body['path'];
    const paths = Array.isArray(requested) ? requested.map(String) : [text(requested)];
    if (!token || paths.length === 0 || paths[0] === '')
      throw new Refusal(400, collected('missing paths to check'));
    const entries = paths.map((path): [string, string[]] => {
      const own = [...this.#server.access.capabilities(token, namespace, path)].sort();
      return [path, own.length > 0 ? own : ['deny']];
    });
    const [single] = entries;
    const data = Object.fromEntries(entries);
    return { flat: true, data: single && entries.length === 1 ? { ...data, capabilities: single[1] } : data };
  }
}
