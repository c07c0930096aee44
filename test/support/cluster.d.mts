import type { ApiAnswer, ApiOptions, OpenBaoServer, RunningServer } from './servers.mjs';

export interface OpenBaoNode extends RunningServer {
  /** `node-1`, ... */
  readonly id: string;
  readonly address: string;
  /** Its audit log, one JSON object a line. */
  readonly auditFile: string | undefined;
  /** Sends to this node: a standby forwards most requests, or answers with a redirect. */
  api: (method: string, path: string, body?: unknown, options?: ApiOptions) => Promise<ApiAnswer>;
  /** 200 leads, 429 stands by, 503 is sealed, 501 has not joined yet; undefined without an answer. */
  health: () => Promise<number | undefined>;
  /** After `kill`: starts it on the same port and data, and unseals it. */
  start: () => Promise<void>;
  unseal: () => Promise<ApiAnswer>;
}

/** The cluster as one server for {@link provision}: `api` sends to the leader, `address` is the first node's. */
export interface OpenBaoCluster extends Pick<OpenBaoServer, 'kind' | 'address' | 'rootToken' | 'api'> {
  readonly nodes: readonly OpenBaoNode[];
  readonly addresses: readonly string[];
  /** Waits for a leader and returns it; rejects after `timeout` milliseconds, 30 s by default. */
  leader: (timeout?: number) => Promise<OpenBaoNode>;
  /** Seals the leader: with a single node, the whole cluster. */
  seal: () => Promise<void>;
  /** Unseals every node that runs, and waits for a leader. */
  unseal: () => Promise<void>;
  /** Makes the leader step down; another node takes its place. */
  stepDown: () => Promise<void>;
  /** Resolves when every node has a vote again, and could take over. */
  untilVoters: () => Promise<void>;
  stop: () => Promise<void>;
}

/**
 * OpenBao nodes with integrated storage on loopback, three by default, unsealed and ready: one key share,
 * `performance_multiplier` 1, KV v2 at `secret`. They end with this process, however it ends.
 *
 * @param options.audit whether each node writes an audit log; of OpenBao only
 */
export function startOpenBaoCluster(options?: { nodes?: number; audit?: boolean }): Promise<OpenBaoCluster>;
