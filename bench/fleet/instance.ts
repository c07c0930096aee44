import type { Sender } from '../../lib/client/transport.types.js';
import type { Clock } from '../../lib/clock/clock.js';

export interface Credential {
  username: string;
  password: string;
}

/** The environment of an instance: a server, a clock, and login secrets. */
export interface Surroundings {
  clock: Clock;
  server: Sender;
  roleId: string;
  secretId: string;
  /** The path of its credential. */
  path: string;
}

/** One process of the fleet: it has one token and one lease. */
export interface Instance {
  start(): void;
  /** The credential that the application would use for a new connection now. */
  current(): Credential | undefined;
  /** Whether a request has failed, and not succeeded since. */
  readonly failing: boolean;
}

/** A client of the comparison. */
export interface Client {
  /** Short name, for files and the command line. */
  id: string;
  name: string;
  /** Approximate share of a TTL after which it renews: the renewals of a long-running fleet spread over that share. */
  renewsAt: number;
  make(surroundings: Surroundings): Instance;
}
