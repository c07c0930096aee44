import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus } from '../../lib/events/events.js';
import { appRole, type Credentials } from '../../lib/index.js';
import type { Sender, TransportRequest } from '../../lib/client/transport.types.js';
import { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import type { Fleet, Rates } from './capacity.js';
import { loaded, SECOND } from './scenarios.js';
import { seeded } from './seeded.js';
import { between, mostWithin } from './tally.js';

type Kind = Exclude<keyof Rates, 'total' | 'watches'>;

/** The counts of a simulated fleet of this package. */
export interface Steady {
  /** Requests a minute. */
  rates: Record<Kind, number>;
  /** Database users, on average. */
  users: number;
  /** Issues in the busiest minute. */
  issuesAMinute: number;
}

/** Seconds between two counts of the users. */
const EVERY = 20;

/** Simulates a fleet that starts within `starting` seconds at random times, and then counts for `observed` seconds. */
export function simulateSteady(
  fleet: Fleet,
  { starting, observed }: { starting: number; observed: number },
): Promise<Steady> {
  return seeded(1, async () => {
    await loaded();
    const clock = new VirtualClock();
    const vault = new SimulatedVault({ clock });
    const counts: Record<Kind, number> = {
      logins: 0,
      tokenRenewals: 0,
      issues: 0,
      leaseRenewals: 0,
      retirements: 0,
      revocations: 0,
    };
    const issuesBySecond: number[] = [];
    const inner = vault.transport();
    const server: Sender = {
      send: (request) => {
        const kind = kindOf(request);
        if (kind) counts[kind] += 1;
        const second = Math.floor(clock.monotonic() / SECOND);
        if (kind === 'issues') issuesBySecond[second] = (issuesBySecond[second] ?? 0) + 1;
        return inner.send(request);
      },
      close: () => inner.close(),
    };
    for (let index = 0; index < fleet.replicas; index++)
      clock.setTimer(starting * SECOND * Math.random(), () => startOne(fleet, { clock, vault, server }));
    await clock.advance(starting * SECOND);
    const before = { ...counts };
    let users = 0;
    for (let seconds = 0; seconds < observed; seconds += EVERY) {
      await clock.advance(EVERY * SECOND);
      users += (vault.liveUsers.length * EVERY) / observed;
    }
    const perMinute = (kind: Kind) => ((counts[kind] - before[kind]) * 60) / observed;
    const kinds = Object.keys(counts) as Kind[];
    return {
      rates: Object.fromEntries(kinds.map((kind) => [kind, perMinute(kind)])) as Record<Kind, number>,
      users,
      issuesAMinute: mostWithin(between(issuesBySecond, starting, starting + observed), 60),
    };
  });
}

interface World {
  clock: VirtualClock;
  vault: SimulatedVault;
  server: Sender;
}

function startOne(fleet: Fleet, { clock, vault, server }: World): void {
  const { token, lease, leases, pool } = fleet;
  const periodic = token.maxTtl === Infinity;
  const { roleId, secretId } = vault.appRole('app', {
    roleId: 'app',
    ...(periodic ? { tokenPeriod: token.ttl } : { tokenTtl: token.ttl, tokenMaxTtl: token.maxTtl }),
  });
  const options = resolveOptions({
    address: 'http://vault.test',
    auth: appRole({ roleId, secretId: secretId() }),
  });
  const connection = new VaultConnection(options, new EventBus(), clock, server);
  void connection.login().then(() => {
    for (let index = 0; index < leases; index++) {
      vault.databaseRole(`app-${index}`, { defaultTtl: lease.ttl, maxTtl: lease.maxTtl });
      let release = () => {};
      connection.leases
        .watch<Credentials<unknown>>(`database/creds/app-${index}`, false)
        .subscribe(({ lease: next }) => {
          // As a pool: it holds the lease until the last connection of its user has closed.
          clock.setTimer(pool.drain * SECOND, release);
          release = next.hold();
        });
    }
  });
}

function kindOf({ path, body }: TransportRequest): Kind | undefined {
  if (path.includes('/creds/')) return 'issues';
  if (path.endsWith('/login')) return 'logins';
  if (path.endsWith('/renew-self')) return 'tokenRenewals';
  if (path.endsWith('/revoke-self')) return 'revocations';
  if (!path.endsWith('/leases/renew')) return undefined;
  return (JSON.parse(String(body)) as { increment?: number }).increment === 1
    ? 'retirements'
    : 'leaseRenewals';
}
