import assert from 'node:assert/strict';
import { SECOND } from './consumers.js';
import type { Life } from './life.js';
import type { Exchange } from './witness.js';

/** Checks after the end: the number of requests in each window as long as a lifetime, and at one moment. */
export function countRequests(life: Life): void {
  const { witness, schedule, consumers, disturbances } = life;
  const exhausted = exhaustions(life);
  const repeated = repetitions(life);
  const groups = new Map<string, Kind & { times: number[] }>();
  const instants = new Map<number, number>();
  for (const exchange of witness.exchanges) {
    const { at } = exchange;
    const kind = kindOf(exchange, life);
    const group = groups.get(kind.what) ?? { ...kind, times: [] };
    groups.set(kind.what, group);
    if (!repeated.has(exchange)) group.times.push(at);
    instants.set(at, (instants.get(at) ?? 0) + 1);
  }
  for (const { what, times, lasts, limit } of groups.values()) {
    // A window can hold the shrinking delays before a deadline (halves of the time left), the doubling delays after it,
    // and then as many requests as the longest delay allows, half of which is random.
    const longest = Math.max(SECOND / 2, Math.min(lasts / 6, 30 * SECOND));
    const steps = 10 + 2 * Math.log2(lasts / SECOND) + lasts / (longest / 2);
    let from = 0;
    for (const [to, at] of times.entries()) {
      while ((times[from] as number) < at - lasts) from++;
      const within = (moments: readonly number[]) =>
        moments.filter((moment) => moment >= at - lasts - SECOND && moment <= at).length;
      const most = limit ?? steps + 3 * within(disturbances) + within(exhausted);
      assert.ok(to - from + 1 <= most, `${to - from + 1} ${what} in ${lasts} ms, at ${at}`);
    }
  }
  for (const [at, count] of instants) {
    const most = 3 * schedule.roles.length + consumers.holds.length + 8;
    assert.ok(count <= most, `${count} requests at one moment (${at})`);
  }
}

/** The group that a request is counted in, the shortest lifetime of its subject, and the limit for that time. */
interface Kind {
  what: string;
  lasts: number;
  limit?: number;
}

function kindOf({ path, leaseId, token }: Exchange, life: Life): Kind {
  const { witness, paths } = life;
  const lasts = (of: string) => Math.min(...(life.ttls.get(of) ?? []));
  const tokenLasts = lasts('login');
  if (path === 'sys/leases/renew')
    return { what: `renewals of ${leaseId}`, lasts: lasts(witness.leases.get(leaseId)?.path ?? '') };
  if (paths.includes(path)) return { what: `issues of ${path}`, lasts: Math.min(lasts(path), tokenLasts) };
  if (path.endsWith('login')) return { what: 'logins', lasts: tokenLasts };
  const own = `of token ${token.slice(-5)}`;
  if (path.endsWith('renew-self')) return { what: `renewals ${own}`, lasts: tokenLasts };
  if (path.endsWith('lookup-self')) return { what: `look-ups ${own}`, lasts: tokenLasts };
  // A failed revocation is repeated once a minute, and once more at the end.
  if (path.endsWith('revoke-self')) return { what: `revocations ${own}`, lasts: 59 * SECOND, limit: 2 };
  return assert.fail(`what is ${path}?`);
}

/** Moments at which a token with limited uses had one left: each is a reason for a login and new leases. */
function exhaustions({ witness, schedule }: Life): number[] {
  const { uses } = schedule.login;
  if (uses === 0) return [];
  const moments: number[] = [];
  for (const token of witness.tokens.keys()) {
    const last = witness.exchanges.filter((one) => one.token === token)[uses - 2];
    if (last) moments.push(last.at);
  }
  return moments;
}

/** Refused issues that are repeated at once: with a new token, or because a node may not know the token yet. */
function repetitions({ witness, paths }: Life): Set<Exchange> {
  const found = new Set<Exchange>();
  for (const path of paths) {
    let before: Exchange | undefined;
    for (const exchange of witness.exchanges.filter((one) => one.path === path)) {
      const refused = before?.status === 403 && !found.has(before);
      if (before && refused && (before.token !== exchange.token || witness.wasYoung(before)))
        found.add(exchange);
      before = exchange;
    }
  }
  return found;
}
