import { randomUUID } from 'node:crypto';
import { DEFAULT_POLICY, parsePolicy, type Rules } from './acl.js';
import { randomText } from './ids.js';
import type { Expirable } from './server-time.js';

/** What a request asks for, in the words of policies; HTTP methods map to it. */
export type Operation = 'read' | 'list' | 'update' | 'patch' | 'delete';

/** One request, as an engine gets it. */
export interface Call {
  operation: Operation;
  /** Below the mount. */
  path: string;
  /** Below the namespace, mount included. */
  fullPath: string;
  body: Record<string, unknown>;
  query: URLSearchParams;
  contentType: string;
  namespace: Namespace;
  token: Token | undefined;
  /** The `X-Vault-Token` as it was sent, valid or not. */
  rawToken: string;
  /** The IP address it comes from. */
  source: string;
}

/** What an engine answers; the envelope is put around it. Nothing at all is a 204. */
export interface Result {
  status?: number;
  data?: object | null;
  /** A token that was made or renewed. */
  auth?: Token;
  lease?: Lease;
  /** Seconds that a secret without a lease may be cached. */
  leaseDuration?: number;
  warnings?: string[];
  /** Sent as it is, without an envelope. */
  bare?: unknown;
  /** Instead of an envelope of its own: that of the answer that was wrapped. */
  unwrapped?: object;
  wrapInfo?: object;
  /** Repeats `data` at the top level, as some paths below sys/ do. */
  flat?: boolean;
}

export type Maybe<T> = T | Promise<T>;

/** A secrets engine or auth method. */
export interface Backend {
  /** As the server names the type of the mount. */
  readonly type: string;
  handle(call: Call): Maybe<Result | void>;
  /** Where given, a write of what is not there yet needs `create` instead of `update`. */
  exists?(call: Call): boolean;
  /** Paths that need no token. */
  open?(path: string): boolean;
}

/** What a token is made of. Durations in seconds; 0 is none. */
export interface TokenInit {
  id?: string;
  type?: 'service' | 'batch';
  policies: readonly string[];
  /** Where it was made. */
  path: string;
  namespace: Namespace;
  displayName?: string;
  meta?: Record<string, string> | null;
  parent?: Token | undefined;
  /** Made by a login: it has an entity, and no parent. */
  login?: boolean;
  ttl?: number;
  maxTtl?: number;
  explicitMaxTtl?: number;
  period?: number;
  uses?: number;
  renewable?: boolean;
  /** Addresses it may be used from; any where empty. */
  boundCidrs?: readonly string[];
  /** The TTL of a renewal without an increment; throws where the role has gone. */
  renewalTtl?: () => number;
}

/** One token through its life. Times in milliseconds of the server, durations in seconds. */
export class Token implements Expirable {
  readonly id: string;
  readonly accessor: string;
  readonly type: 'service' | 'batch';
  readonly entityId: string;
  readonly children = new Set<Token>();
  readonly leases = new Set<Lease>();
  readonly creationTtl: number;
  readonly orphan: boolean;
  expires: number;
  ended = false;
  queued = Infinity;
  /** Requests it may still make; Infinity where they are not counted. */
  uses: number;
  renewable: boolean;
  ttl: number;
  renewedAt: number | undefined;
  /** Asked to be ended when the request in hand is done. */
  lastUse = false;

  constructor(
    readonly init: TokenInit,
    readonly number: number,
    readonly issuedAt: number,
    ids: { id: string; accessor: string },
    ttl: number,
    readonly onExpired: (token: Token) => void,
  ) {
    this.id = ids.id;
    this.accessor = ids.accessor;
    this.type = init.type ?? 'service';
    this.entityId = init.login ? randomUUID() : '';
    this.orphan = !init.parent;
    this.creationTtl = ttl;
    this.ttl = ttl;
    this.expires = ttl > 0 ? issuedAt + ttl * 1000 : Infinity;
    this.uses = init.uses && init.uses > 0 ? init.uses : Infinity;
    this.renewable = this.type === 'service' && ttl > 0 && init.renewable !== false;
  }

  get root(): boolean {
    return this.init.policies.includes('root');
  }
}

/** What an engine says of a secret that it has made. Durations in seconds. */
export interface LeaseInit {
  /** Where it was made, below the namespace. */
  path: string;
  namespace: Namespace;
  token: Token;
  /** The present default and limit of the role; throws where it has gone. */
  ttls: () => { ttl: number; maxTtl: number };
  /** Default true. */
  renewable?: boolean;
  /** Before a renewal is granted. */
  renew?: (expires: number) => Maybe<void>;
  /** Takes the secret away. */
  end: () => Maybe<void>;
}

/** One lease. Times in milliseconds of the server, durations in seconds. */
export class Lease implements Expirable {
  readonly id: string;
  readonly renewable: boolean;
  expires: number;
  ttl: number;
  ended = false;
  queued = Infinity;
  renewedAt: number | undefined;
  /** Revocations that failed. */
  failures = 0;

  constructor(
    readonly init: LeaseInit,
    readonly issuedAt: number,
    ttl: number,
    readonly onExpired: (lease: Lease) => void,
  ) {
    const suffix = init.namespace.path ? `.${init.namespace.id}` : '';
    this.id = `${init.path}/${randomText(24)}${suffix}`;
    this.renewable = init.renewable ?? true;
    this.ttl = ttl;
    this.expires = issuedAt + ttl * 1000;
  }
}

/** One namespace: mounts and policies of its own. */
export class Namespace {
  readonly mounts = new Map<string, Backend>();
  readonly policies = new Map<string, { source: string; rules: Rules; version: number; at: number }>();
  /** Changes whenever a policy does. */
  policyVersion = 0;

  /** @param path with a slash at its end; nothing for the root */
  constructor(
    readonly path: string,
    readonly id: string,
  ) {
    this.setPolicy('default', DEFAULT_POLICY, 0);
  }

  /**
   * @param source HCL, or JSON
   * @param at milliseconds of the server
   */
  setPolicy(name: string, source: string, at: number): void {
    const version = (this.policies.get(name)?.version ?? 0) + 1;
    this.policies.set(name, { source, rules: parsePolicy(source), version, at });
    this.policyVersion++;
  }

  deletePolicy(name: string): void {
    this.policies.delete(name);
    this.policyVersion++;
  }

  /** The mount that a path is below, and the rest of the path. */
  find(path: string): { backend: Backend; mount: string; rest: string } | undefined {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const mount = path.slice(0, end).replace(/\/$/, '');
      const backend = this.mounts.get(mount);
      if (backend) return { backend, mount, rest: path.slice(mount.length + 1) };
    }
    return undefined;
  }
}
