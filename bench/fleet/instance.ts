import type { Sender } from '../../lib/client/transport.js';
import type { Clock } from '../../lib/clock/clock.js';

export interface Credential {
  username: string;
  password: string;
}

/** What an instance is given: a server, a clock, and what it logs in with. */
export interface Surroundings {
  clock: Clock;
  server: Sender;
  roleId: string;
  secretId: string;
  /** Where its credential is issued. */
  path: string;
}

/** One process of the fleet: it has one token and one lease. */
export interface Instance {
  start(): void;
  /** What the application would open a connection to the database with, now. */
  current(): Credential | undefined;
  /** Something that it has to do has failed, and has not worked since. */
  readonly failing: boolean;
}

/** A client whose policy is compared. */
export interface Client {
  /** Short, for file names and the command line. */
  id: string;
  name: string;
  /** Share of a TTL after which it renews, roughly: a fleet that runs for long is spread over so much of a TTL. */
  renewsAt: number;
  make(surroundings: Surroundings): Instance;
}
