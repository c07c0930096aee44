import { existsSync, readFileSync } from 'node:fs';
import type { OpenBaoCluster } from '../support/cluster.mjs';

/** The requests of the fleet, by kind. */
export const KINDS = [
  'logins',
  'tokenRenewals',
  'issues',
  'leaseRenewals',
  'retirements',
  'revocations',
  'reads',
] as const;
export type Kind = (typeof KINDS)[number];

/** A request that the server answered; `at` in milliseconds since 1970. */
export interface Answered {
  at: number;
  kind: Kind;
}

interface Entry {
  type: string;
  time: string;
  error?: string;
  request: { id: string; operation: string; path: string; data?: { increment?: unknown } };
}

/** The answered requests in the audit logs of all nodes. A standby and the leader may both log one. */
export function audited(cluster: OpenBaoCluster): Answered[] {
  const found = new Map<string, Answered>();
  for (const { auditFile } of cluster.nodes) {
    if (auditFile === undefined || !existsSync(auditFile)) continue;
    for (const line of readFileSync(auditFile, 'utf8').split('\n')) {
      if (!line.includes('"type":"response"')) continue;
      const entry = JSON.parse(line) as Entry;
      const kind = kindOf(entry);
      if (kind) found.set(entry.request.id, { at: Date.parse(entry.time), kind });
    }
  }
  return [...found.values()].sort((a, b) => a.at - b.at);
}

function kindOf({ error, request: { path, data } }: Entry): Kind | undefined {
  if (error) return undefined;
  if (path === 'auth/approle/login') return 'logins';
  if (path === 'auth/token/renew-self') return 'tokenRenewals';
  if (path === 'auth/token/revoke-self') return 'revocations';
  if (path === 'sys/leases/renew') return data?.increment === undefined ? 'leaseRenewals' : 'retirements';
  if (path.startsWith('database/creds/')) return 'issues';
  return path === 'secret/data/app' ? 'reads' : undefined;
}

/** The number of requests of each kind from one time to another. */
export function count(requests: readonly Answered[], from: number, to: number): Record<Kind, number> {
  const counts = Object.fromEntries(KINDS.map((kind) => [kind, 0])) as Record<Kind, number>;
  for (const { at, kind } of requests) if (at >= from && at < to) counts[kind] += 1;
  return counts;
}
