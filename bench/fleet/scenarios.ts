import { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import { BusyServer } from './server.js';
import { Tally } from './tally.js';

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** Requests a second that the server can answer: 500 for 10,000 instances, and for fewer in proportion. */
export function capacity(instances: number): number {
  return instances / 20;
}

/** Of tokens and leases alike; nothing is near its max TTL in a run. */
export const TTL = HOUR;
const PATH = 'database/creds/app';

/** One server, its clock, and what was sent to it. */
export class World {
  readonly clock = new VirtualClock();
  readonly vault = new SimulatedVault({ clock: this.clock });
  readonly tally = new Tally(this.clock);
  readonly server: BusyServer;
  readonly roleId: string;
  readonly secretId: string;
  readonly path = PATH;

  /** @param ttl milliseconds, of tokens and leases */
  constructor(instances: number, ttl: number) {
    const work = SECOND / capacity(instances);
    this.server = new BusyServer(this.clock, this.vault.transport(), this.tally, work);
    this.vault.databaseRole('app', { defaultTtl: ttl / SECOND, maxTtl: '24h' });
    const { roleId, secretId } = this.vault.appRole('app', { tokenTtl: ttl / SECOND });
    this.roleId = roleId;
    this.secretId = secretId();
  }
}

/** What happens to a fleet. Times in milliseconds. */
export interface Scenario {
  id: 'start' | 'restart' | 'seal' | 'fail-over';
  title: string;
  /** How long the incident lasts; rates are looked at, and health is waited for, from its end on. */
  lasts: number;
  /** For how long the fleet is watched after it. */
  after: number;
  /** How many times; the run with the median peak over mean is told (default: once). */
  runs?: number;
  /** The fleet starts within the incident, instead of having run for long when it begins. */
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
    // What came in the first seconds decides, and chance has a part in that.
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
