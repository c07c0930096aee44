import type { Call, Result } from '../server/model.js';
import type { ServerContext } from '../server/server-context.js';
import { listKeys } from './list-keys.js';
import { secondsField } from '../server/ttl.js';
import { notFound, Refusal } from '../server/refusal.js';
import { text } from '../server/fields.js';
import type { Route } from '../server/route.js';

/** Routes below `sys/leases`: they look up, renew and revoke leases. */
export function leaseRoutes({
  time,
  leases,
  vault,
}: Pick<ServerContext, 'time' | 'leases' | 'vault'>): Route[] {
  const named = (call: Call, id: string) => {
    const lease = text(call.body['lease_id']) || id;
    if (!lease) throw new Refusal(400, 'lease_id must be specified');
    return lease;
  };

  async function renew(call: Call, id = ''): Promise<Result> {
    const lease = leases.find(named(call, id));
    const increment = secondsField(call.body, 'increment');
    if (!lease) throw new Refusal(400, 'lease not found');
    return { warnings: await leases.renew(lease, increment), lease };
  }

  function lookUp(call: Call): Result {
    const lease = leases.find(text(call.body['lease_id']));
    if (!lease) throw new Refusal(400, 'invalid lease');
    const { renewedAt, expires } = lease;
    return {
      data: {
        expire_time: time.date(expires),
        id: lease.id,
        issue_time: time.date(lease.issuedAt),
        last_renewal: renewedAt === undefined ? null : time.date(renewedAt),
        ...(!vault && { path: lease.init.path }),
        renewable: lease.renewable,
        ttl: Math.max(0, Math.ceil((expires - time.now) / 1000)),
      },
    };
  }

  async function revoke(call: Call, id = ''): Promise<Result | void> {
    const lease = leases.find(named(call, id));
    if (call.body['sync'] === false) {
      if (lease) leases.end(lease);
      return { status: 202 };
    }
    if (lease) await leases.endNow(lease);
  }

  function revokePrefix(prefix: string): void {
    for (const lease of leases.below(prefix)) leases.end(lease);
  }

  function listBelow(prefix: string): Result {
    const ids = leases.below(prefix.endsWith('/') ? prefix : `${prefix}/`).map(({ id }) => id);
    if (ids.length === 0) throw notFound();
    return { data: { keys: listKeys(ids, prefix) } };
  }

  const legacy: Route[] = vault
    ? [
        [['update'], /^renew(?:\/(.+))?$/, renew],
        [['update'], /^revoke(?:\/(.+))?$/, revoke],
      ]
    : [];
  return [
    [['update'], /^leases\/renew(?:\/(.+))?$/, renew],
    [['update'], /^leases\/revoke(?:\/(.+))?$/, revoke],
    [['update'], /^leases\/lookup$/, lookUp],
    [['update'], /^leases\/revoke-(?:prefix|force)\/(.+)$/, (_, prefix = '') => revokePrefix(prefix)],
    [['list'], /^leases\/lookup\/(.+)$/, (_, prefix = '') => listBelow(prefix)],
    ...legacy,
  ];
}
