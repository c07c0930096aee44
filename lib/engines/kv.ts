import type { Answer, Engine } from '../leases/engine.js';

/** KV, both versions. An operator's secret may hold any key, and none of them is its life. */
export const kv: Engine = {
  name: 'kv',
  owns: (answer) => answer.mountType === 'kv' || isVersion1(answer) || isVersion2(answer),
  life: () => ({}),
  comparable: (data) => data,
};

/** No other engine answers a duration without a lease. */
function isVersion1({ leaseId, leaseDuration, data }: Answer): boolean {
  return leaseId === '' && leaseDuration > 0 && data !== null;
}

function isVersion2({ leaseId, path, data }: Answer): boolean {
  return leaseId === '' && /\/data\//.test(path) && 'data' in data && 'metadata' in data;
}
