import { requestLayer } from '../../lib/client/request-layer.js';
import { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import { BusyServer } from './server.js';
import { Tally } from './tally.js';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** Resolves when the package has loaded all that a request needs: the virtual clock cannot wait for an import. */
export async function loaded(): Promise<void> {
  await requestLayer(async () => undefined);
}

/** Capacity of the server in requests a second: 500 for 10,000 instances, in proportion for fewer. */
export function capacity(instances: number): number {
  return instances / 20;
}

/** TTL of tokens and leases; none comes near its max TTL in a run. */
export const TTL = HOUR;
const PATH = 'database/creds/app';

/** One server, its clock, and the counts of its requests. */
export class World {
  readonly clock = new VirtualClock();
  readonly vault = new SimulatedVault({ clock: this.clock });
  readonly tally = new Tally(this.clock);
  readonly server: BusyServer;
  readonly roleId: string;
  readonly secretId: string;
  readonly path = PATH;

  /** @param ttl TTL of tokens and leases, in milliseconds */
  constructor(instances: number, ttl: number) {
    const work = SECOND / capacity(instances);
    this.server = new BusyServer(this.clock, this.vault.transport(), this.tally, work);
    this.vault.databaseRole('app', { defaultTtl: ttl / SECOND, maxTtl: '24h' });
    const { roleId, secretId } = this.vault.appRole('app', { tokenTtl: ttl / SECOND });
    this.roleId = roleId;
    this.secretId = secretId();
  }
}

/** An incident of a fleet. Times in milliseconds. */
export interface Scenario {
  id: 'start' | 'restart' | 'seal' | 'fail-over';
  title: string;
  /** Duration of the incident; rates and the time to health count from its end. */
  lasts: number;
  /** Duration of the observation after the incident. */
  after: number;
  /** Number of runs; the report shows the one with the median peak over mean (default: 1). */
  runs?: number;
  /** Whether the fleet starts within the incident, instead of long before it. */
  starting?: true;
  begin?(world: World): void;
  end?(world: World): void;
}

export const SCENARIOS: readonly Scenario[] = [
  {
    id: 'start',
    title: 'Rolling start: all instances within 10 minutes',
    lasts: 10 * MINUTE,
    after: HOUR,
    starting: true,
  },
  {
    id: 'restart',
    title: 'Restart: connections are refused for 30 s',
    lasts: 30 * SECOND,
    after: 15 * MINUTE,
    // The first seconds decide the result, and depend on chance.
    runs: 3,
    begin: ({ server }) => server.stop(),
    end: ({ server }) => server.start(),
  },
  {
    id: 'seal',
    title: 'Seal: 503 for 10 minutes',
    lasts: 10 * MINUTE,
    after: HOUR,
    begin: ({ vault }) => vault.seal(),
    end: ({ vault }) => vault.unseal(),
  },
  {
    id: 'fail-over',
    title: 'Fail-over: every token and lease is lost',
    lasts: 0,
    after: 75 * MINUTE,
    end: ({ vault }) => vault.revokeAllTokens(),
  },
];
