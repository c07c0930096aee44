import { randomUUID } from 'node:crypto';
import { DEFAULT_POLICY, parsePolicy, type Rules } from './acl.js';
import { randomText } from './ids.js';
import type { Expirable } from './server-time.js';
import type { TtlBounds } from './ttl.js';

/** Operation of a request, in the terms of policies; HTTP methods map to it. */
export type Operation = 'read' | 'list' | 'update' | 'patch' | 'delete';

/** One request, as a backend receives it. */
export interface Call {
  operation: Operation;
  /** Path below the mount. */
  path: string;
  /** Path below the namespace, including the mount. */
  fullPath: string;
  body: Record<string, unknown>;
  query: URLSearchParams;
  contentType: string;
  namespace: Namespace;
  token: Token | undefined;
  /** The header `X-Vault-Token`, valid or not. */
  rawToken: string;
  /** IP address of the client. */
  source: string;
  /** Client certificate of the connection, as PEM. */
  certificate?: string | undefined;
}

/** Answer of a backend without the envelope. A backend that returns none answers 204. */
export interface Result {
  status?: number;
  data?: object | null;
  /** Token that was created or renewed. */
  auth?: Token;
  /** `auth` of a login that waits for a second factor. */
  demand?: object;
  lease?: Lease;
  /** `lease_duration` in seconds of a secret without a lease. */
  leaseDuration?: number;
  warnings?: string[];
  /** Body that is sent without an envelope. */
  bare?: unknown;
  /** Envelope of the answer that was wrapped; sent instead of a new one. */
  unwrapped?: object;
  wrapInfo?: object;
  /** Repeats `data` at the top level, as some paths below sys/ do. */
  flat?: boolean;
}

export type Maybe<T> = T | Promise<T>;

/** A secrets engine or auth method. */
export interface Backend {
  /** Type of the mount in the API. */
  readonly type: string;
  /** Options of the mount in the API. */
  readonly options?: Readonly<Record<string, string>>;
  handle(call: Call): Maybe<Result | void>;
  /** Whether the path has a value. Where implemented, a first write needs `create` instead of `update`. */
  exists?(call: Call): boolean;
  /** Whether the path needs no token. */
  open?(path: string): boolean;
}

/** Bounds of a renewed token, in seconds: those of its role, as it is by then. */
export type Renewal = Pick<TtlBounds, 'ttl' | 'maxTtl' | 'period'>;

/** Properties of a new token. Durations in seconds; 0 is none. */
export interface TokenInit {
  id?: string;
  type?: 'service' | 'batch';
  policies: readonly string[];
  /** Path of the request that created it. */
  path: string;
  namespace: Namespace;
  displayName?: string;
  meta?: Record<string, string> | null;
  parent?: Token | undefined;
  /** Created by a login: it has an entity and no parent. */
  login?: boolean;
  ttl?: number;
  maxTtl?: number;
  explicitMaxTtl?: number;
  period?: number;
  uses?: number;
  renewable?: boolean;
  /** Networks it may be used from; all if empty. */
  boundCidrs?: readonly string[];
  /**
   * Asks the method that made the token at each renewal: it may refuse. Undefined: nothing is extended, and the answer is
   * 204, as for a user that was deleted.
   */
  renewal?: (call: Call) => Renewal | undefined;
}

/** One token. Times in milliseconds of the server, durations in seconds. */
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
  /** Requests it may still make; Infinity if they are not counted. */
  uses: number;
  renewable: boolean;
  ttl: number;
  renewedAt: number | undefined;
  /** Set by the last use: the token ends after the current request. */
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

/** Properties of a new lease. Durations in seconds. */
export interface LeaseInit {
  /** Path of the request that created it, below the namespace. */
  path: string;
  namespace: Namespace;
  token: Token;
  /** Current default and max TTL of the role; throws if the role was deleted. */
  ttls: () => { ttl: number; maxTtl: number };
  /** Default true. */
  renewable?: boolean;
  /** Called before a renewal is granted. */
  renew?: (expires: number) => Maybe<void>;
  /** Revokes the secret. */
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
  /** Number of failed revocations. */
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

/** One namespace with its mounts and policies. */
export class Namespace {
  readonly mounts = new Map<string, Backend>();
  readonly policies = new Map<string, { source: string; rules: Rules; version: number; at: number }>();
  /** Changes with each change of a policy. */
  policyVersion = 0;

  /** @param path ends in a slash; `''` for the root */
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

  /** Finds the mount of a path, and the path below it. */
  find(path: string): { backend: Backend; mount: string; rest: string } | undefined {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const mount = path.slice(0, end).replace(/\/$/, '');
      const backend = this.mounts.get(mount);
      if (backend) return { backend, mount, rest: path.slice(mount.length + 1) };
    }
    return undefined;
  }
}
