import type { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import type { Sender } from '../../lib/client/transport.types.js';
import type { VaultOptions } from '../../lib/config/options.js';
import type { VaultConnection } from '../../lib/connection/vault-connection.js';
import type { EventBus, VaultEvent } from '../../lib/events/events.js';
import type { Credentials } from '../../lib/leases/lease.js';

/** TTLs in seconds, set by the operator of a server. */
export interface RoleSettings {
  ttl: number;
  maxTtl: number;
}

/** Settings of the AppRole that the connection logs in with. */
export interface LoginSettings {
  ttl?: number;
  maxTtl?: number;
  period?: number;
  explicitMaxTtl?: number;
  uses?: number;
  type?: 'service' | 'batch';
}

/** One request from the server's point of view. */
export interface WorldRequest {
  method: string;
  /** Below `/v1/`, without the query. */
  path: string;
  body: string;
  /** Milliseconds, by a clock of the server. */
  at: number;
  /** Whether the whole of an answer was sent. */
  answered: boolean;
}

/** A connection under test, with a record of its events. */
export interface Life {
  connection: VaultConnection;
  bus: EventBus;
  events: VaultEvent[];
  /** Every snapshot of the path that was published. */
  published: Credentials<{ username: string; password: string }>[];
  /** The error or completion of the stream, if it ended. */
  ended: unknown[];
  of<T extends VaultEvent['type']>(type: T): Extract<VaultEvent, { type: T }>[];
}

/**
 * The environment of a rule: a server with an operator, a network with faults, and time. Each test is written once
 * against this interface, and runs on the simulated server under a virtual clock and on real servers.
 */
export interface World {
  /** The name of its database role, its AppRole and its policy. */
  readonly name: string;
  /** The path of its credentials. */
  readonly path: string;
  /** Advances the time. */
  advance(milliseconds: number): Promise<void>;
  /** Waits for a promise while time passes. */
  settled<T>(work: Promise<T>): Promise<T>;
  /** Advances the time in small steps until a condition holds; fails after `limit` milliseconds. */
  until(holds: () => boolean, limit: number): Promise<void>;

  /** A connection that watches {@link path} and has its first snapshot, unless `watch` is false. */
  start(settings: {
    role: RoleSettings;
    login?: LoginSettings;
    options?: Partial<VaultOptions>;
    watch?: boolean;
    /** Stands between the connection and the server; simulated worlds only. */
    through?: (sender: Sender) => Sender;
  }): Promise<Life>;

  /** Requests since the last {@link clear}. */
  requests(path?: RegExp): WorldRequest[];
  clear(): void;
  /** Whether the user can still log in to the database. */
  isValid(credentials: Credentials<{ username: string; password: string }>): Promise<boolean>;

  operator: {
    revokeLeases(): Promise<void>;
    revokeTokens(): Promise<void>;
    /** One request, with the root token by default; resolves with its answer, and rejects if it fails. */
    api(
      method: string,
      path: string,
      body?: unknown,
      options?: { token?: string; wrapTtl?: string },
    ): Promise<any>;
    /** Makes the server rotate the password of a user; resolves with the path to read. Call it after `start`. */
    staticRole(rotationSeconds: number): Promise<string>;
  };

  network: {
    /** Answers matching requests in the server's place, until {@link restore}. */
    answer(path: RegExp, status: number, body: string, headers?: Record<string, string>): void;
    /** Lets one request reach the server, and drops its answer. */
    loseAnswer(path: RegExp): void;
    /** Breaks connections before a request reaches the server, until {@link restore}. */
    cut(path?: RegExp): void;
    /** Accepts requests, and never forwards or answers them, until {@link restore}. */
    hang(path: RegExp): void;
    /** Delays requests to the server; a request that the client aborts meanwhile never reaches it. */
    delay(path: RegExp, milliseconds: number): void;
    restore(): void;
  };

  /** Whether answers were made up: then the rule was not tested against the server's own. */
  readonly canned: boolean;

  /** Members that only a simulated world has. */
  readonly clock?: VirtualClock;
  readonly vault?: SimulatedVault;

  /** Closes every connection that was started. */
  close(): Promise<void>;
}

/** Makes independent worlds, so that rules run side by side. */
export interface Worlds {
  open(): Promise<World>;
  stop(): Promise<void>;
}
