import type { QueryResult, QueryResultRow } from 'pg';

export interface ApiAnswer {
  status: number;
  // Tests read fields of known answers, so the server's JSON has no type.
  body: any;
  headers: Record<string, string | string[] | undefined>;
}

export interface ApiOptions {
  /** Default: the root token. '' sends none. */
  token?: string;
  headers?: Record<string, string>;
  namespace?: string;
}

export interface RunningServer {
  readonly port: number;
  /** The pid of the server itself; a new one after `restart`. */
  readonly pid: number;
  /** The last 200 lines that the server wrote. */
  readonly output: string;
  /** SIGSTOP: the kernel accepts connections, and nothing answers. */
  pause: () => Promise<void>;
  resume: () => Promise<void>;
  /** SIGKILL. The data are kept until `stop`. */
  kill: () => Promise<void>;
  /** SIGKILL (or, with `graceful`, the orderly signal), then a start on the same port and data, until it is ready. */
  restart: (options?: { graceful?: boolean }) => Promise<void>;
  /** Ends the server and removes its temporary folder. Without it both happen when this process ends. */
  stop: () => Promise<void>;
}

export interface OpenBaoOptions {
  /** 'dev' (default) is in memory; 'raft' survives `restart`. */
  storage?: 'dev' | 'raft';
  port?: number;
  /** The binary. Default: that of `ensureOpenBao`. */
  bin?: string;
  /**
   * `api` trusts `caFile`; default: `certFile`. With `client` the server requires a client certificate of `caFile`; `api`
   * presents this one.
   */
  tls?: { certFile: string; keyFile: string; caFile?: string; client?: { cert: string; key: string } };
  /** The path of a Unix socket at which a server with TLS listens, too. */
  socket?: string;
  /** A folder whose subfolder `openbao` keeps the data; it can be used again and is not removed. */
  dir?: string;
  /** Only for a dev server without TLS. Default: a random one. */
  rootToken?: string;
  /** Whether it writes an audit log, in the default format, to `auditFile`. */
  audit?: boolean;
}

export interface OpenBaoServer extends RunningServer {
  readonly kind: 'openbao' | 'vault';
  readonly address: string;
  readonly rootToken: string;
  /** With `audit`. */
  readonly auditFile?: string;
  /** Only of a dev server, soon after its start, as it is read from its output. */
  readonly unsealKey?: string;
  /** `path` with or without `/v1/`. Resolves with any status; rejects without an answer within 30 s. */
  api: (method: string, path: string, body?: unknown, options?: ApiOptions) => Promise<ApiAnswer>;
}

export interface PostgresServer extends RunningServer {
  readonly host: string;
  readonly database: string;
  readonly superuser: string;
  readonly password: string;
  readonly connectionString: string;
  /** As the superuser, on a connection of its own. */
  query: <R extends QueryResultRow = QueryResultRow>(
    sql: string,
    params?: unknown[],
  ) => Promise<QueryResult<R>>;
}

export interface TcpProxy {
  readonly port: number;
  /** `127.0.0.1:<port>` */
  readonly address: string;
  readonly connections: number;
  /** Destroys the connections and refuses new ones. */
  cut: () => Promise<void>;
  /** Accepts connections and keeps them open, forwards nothing. */
  blackhole: () => void;
  /** Forwards each chunk, in each direction, after `ms`. */
  delay: (ms: number) => void;
  /** Ends `cut`, `blackhole` (and destroys its connections) and `delay`. */
  restore: () => Promise<void>;
  close: () => Promise<void>;
}

export interface DatabaseRole {
  name: string;
  defaultTtl: string;
  maxTtl: string;
  creationStatements?: string[];
  revocationStatements?: string[];
}

export interface ProvisionOptions {
  /** Default 'database'. */
  databaseMount?: string;
  /** Default 'postgres'. */
  connectionName?: string;
  /** `host:port` at which the secrets engine reaches PostgreSQL; for a TcpProxy between them. */
  databaseAddress?: string;
  /** Default: one role `app`, 5s and 12s. */
  roles?: DatabaseRole[];
  /** Default 'approle'. */
  approleMount?: string;
  /** Default 'app'. */
  approleName?: string;
  /** Default: the name of the AppRole. */
  policyName?: string;
  /** HCL. Default: read database credentials, all of `secret/` and `kv1/`, renew, revoke and look up leases. */
  policy?: string;
  /** Further parameters of the AppRole, sent unchanged. */
  approle?: {
    token_ttl?: string;
    token_max_ttl?: string;
    token_period?: string;
    token_num_uses?: number;
    token_type?: 'service' | 'batch';
    secret_id_ttl?: string;
    secret_id_num_uses?: number;
    [field: string]: unknown;
  };
  /** An existing user. */
  namespace?: string;
}

export interface Provisioned {
  roleId: string;
  secretId: string;
  newSecretId: () => Promise<string>;
  /** The wrapping token; `ttl` as '60s'. */
  newWrappedSecretId: (ttl?: string) => Promise<string>;
}

export function openBaoAvailable(): Promise<{ ok: true; bin: string } | { ok: false; reason: string }>;
/** The binary of the OpenBao that this version of the package is tested with, whatever VAULT_BIN says. */
export function pinnedOpenBao(): Promise<string>;

export function startOpenBao(options?: OpenBaoOptions): Promise<OpenBaoServer>;
export function startPostgres(options?: { port?: number; dir?: string }): Promise<PostgresServer>;
/** A port of 127.0.0.1 that nothing uses at this moment. */
export function freePort(): Promise<number>;
export function startTcpProxy(targetPort: number): Promise<TcpProxy>;

/**
 * KV v2 at `secret`, KV v1 at `kv1`, the database secrets engine for `pg` (none without `pg`), a policy and
 * an AppRole. Can be called again with other options.
 */
export function provision(
  bao: Pick<OpenBaoServer, 'api'>,
  pg: PostgresServer | undefined,
  options?: ProvisionOptions,
): Promise<Provisioned>;

/** The user that PostgreSQL runs as if this process runs as root; undefined if it does not. */
export function unprivilegedUser(): { uid: number; gid: number } | undefined;

/** Names of the users that the database secrets engine has in the database at this moment. */
export function usersInDatabase(pg: PostgresServer): Promise<string[]>;
