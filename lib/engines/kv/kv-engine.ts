import type { Answer, EngineRules } from '../engine.js';

/** KV (both versions) and cubbyholes. An operator chooses the keys of a secret, so no key is read as an expiration. */
export const kv: EngineRules = {
  name: 'kv',
  owns: (answer) =>
    TYPES.has(answer.mountType ?? '') ||
    answer.path.startsWith('cubbyhole/') ||
    isVersion1(answer) ||
    isVersion2(answer),
  life: () => ({}),
  comparable: (data) => data,
};

const TYPES: ReadonlySet<string> = new Set(['kv', 'generic', 'cubbyhole']);

/** No other engine sends a lease_duration without a lease. */
function isVersion1({ leaseId, leaseDuration }: Answer): boolean {
  return leaseId === '' && leaseDuration > 0;
}

function isVersion2({ leaseId, path, data }: Answer): boolean {
  return leaseId === '' && /\/data\//.test(path) && 'data' in data && 'metadata' in data;
}
