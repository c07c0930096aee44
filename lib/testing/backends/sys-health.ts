import type { Result } from '../server/model.js';
import type { ServerContext } from '../server/server-context.js';
import { Refusal } from '../server/refusal.js';

type Server = Pick<ServerContext, 'time' | 'node' | 'vault' | 'version' | 'clusterId'>;

/** State of the node for load balancers; the first condition that holds decides the status. */
export function health(server: Server, query: URLSearchParams): Result {
  const { vault, version, clusterId } = server;
  const { sealed, standby, state } = server.node;
  const uninitialized = state === 'uninitialized';
  const secondary = state === 'dr-secondary';
  const performance = state === 'performance-standby';
  const standbyOk = flag(query, 'standbyok');
  const performanceOk = vault && flag(query, 'perfstandbyok');
  const uninitializedCode = code(query, 'uninitcode', 501);
  const sealedCode = code(query, 'sealedcode', 503);
  const standbyCode = code(query, 'standbycode', 429);
  const activeCode = code(query, 'activecode', 200);
  const secondaryCode = vault ? code(query, 'drsecondarycode', 472) : 472;
  const performanceCode = vault ? code(query, 'performancestandbycode', 473) : 473;
  let status = activeCode;
  if (uninitialized) status = uninitializedCode;
  else if (sealed) status = sealedCode;
  else if (secondary) status = secondaryCode;
  else if (performance) status = performanceOk ? activeCode : performanceCode;
  else if (standby) status = standbyOk ? activeCode : standbyCode;
  return {
    status,
    bare: {
      initialized: !uninitialized,
      sealed,
      standby: sealed || performance || (standby !== undefined && !secondary),
      ...(vault && { performance_standby: performance && !sealed }),
      replication_performance_mode: sealed ? 'unknown' : 'disabled',
      replication_dr_mode: sealed ? 'unknown' : secondary ? 'secondary' : 'disabled',
      server_time_utc: Math.floor(server.time.now / 1000),
      version,
      ...(vault && { enterprise: secondary || performance }),
      ...(!sealed && { cluster_name: `vault-cluster-${clusterId}`, cluster_id: clusterId }),
      ...(vault && { echo_duration_ms: 0, clock_skew_ms: 0, replication_primary_canary_age_ms: 0 }),
    },
  };
}

function code(query: URLSearchParams, name: string, fallback: number): number {
  const value = query.get(name);
  if (value === null) return fallback;
  if (!/^[+-]?\d+$/.test(value)) throw new Refusal(400);
  return Number(value);
}

/** Parses a boolean as Go does; an empty text is false. */
function flag(query: URLSearchParams, name: string): boolean {
  const value = query.get(name) ?? '';
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(|0|f|false)$/i.test(value)) return false;
  throw new Refusal(400);
}
