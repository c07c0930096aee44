import type { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import type { VaultOptions } from '../../lib/config/options.js';
import type { VaultConnection } from '../../lib/connection/vault-connection.js';
import type { EventBus, VaultEvent } from '../../lib/events/events.js';
import type { Credentials } from '../../lib/leases/lease.js';

/** TTLs in seconds, as the operator of a server sets them. */
export interface RoleSettings {
  ttl: number;
  maxTtl: number;
}

/** Settings of the AppRole that the connection logs in with. */
export interface LoginSettings {
  ttl?: number;
  maxTtl?: number;
  period?: number;
  uses?: number;
  type?: 'service' | 'batch';
}

/** One request as the server saw it. */
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

/** A connection under test, and all that happened to it. */
export interface Life {
  connection: VaultConnection;
  bus: EventBus;
  events: VaultEvent[];
  /** Every snapshot of the path that was published. */
  published: Credentials<{ username: string; password: string }>[];
  /** What the stream ended with, if it did. */
  ended: unknown[];
  of<T extends VaultEvent['type']>(type: T): Extract<VaultEvent, { type: T }>[];
}

/**
 * What a rule is tried on: a server with an operator, a network with faults, and time. Each test is written once
 * against this, and runs on the simulated server under a virtual clock and on real ones.
 */
export interface World {
  /** Of its database role, its AppRole and its policy. */
  readonly name: string;
  /** Where its credentials are issued. */
  readonly path: string;
  /** Lets time go by. */
  advance(milliseconds: number): Promise<void>;
  /** Waits for what takes time. */
  settled<T>(work: Promise<T>): Promise<T>;
  /** Lets time go by until it holds, in small steps; fails after `limit` milliseconds. */
  until(holds: () => boolean, limit: number): Promise<void>;

  /** A connection that watches {@link path} and has its first snapshot, unless `watch` is false. */
  start(settings: {
    role: RoleSettings;
    login?: LoginSettings;
    options?: Partial<VaultOptions>;
    watch?: boolean;
  }): Promise<Life>;

  /** Requests since the last {@link clear}. */
  requests(path?: RegExp): WorldRequest[];
  clear(): void;
  /** Whether the server still lets this user in. */
  isValid(credentials: Credentials<{ username: string; password: string }>): Promise<boolean>;

  operator: {
    revokeLeases(): Promise<void>;
    revokeTokens(): Promise<void>;
    /** One request with the root token, unless with another; resolves with its answer, and rejects where it fails. */
    api(
      method: string,
      path: string,
      body?: unknown,
      options?: { token?: string; wrapTtl?: string },
    ): Promise<any>;
    /** Has the server rotate the password of a user; resolves with the path to read. Once a connection was started. */
    staticRole(rotationSeconds: number): Promise<string>;
  };

  network: {
    /** Answers matching requests in the server's place, until {@link restore}. */
    answer(path: RegExp, status: number, body: string, headers?: Record<string, string>): void;
    /** The request reaches the server, and its answer is lost; once. */
    loseAnswer(path: RegExp): void;
    /** Connections break before anything reaches the server, until {@link restore}. */
    cut(path?: RegExp): void;
    /** Requests are taken, and never get anywhere, until {@link restore}. */
    hang(path: RegExp): void;
    /** Requests are so late at the server; those that are given up on their way never reach it. */
    delay(path: RegExp, milliseconds: number): void;
    restore(): void;
  };

  /** Whether answers of the server were made up: then the rule was not tried against its own. */
  readonly canned: boolean;

  /** What only a simulated world has. */
  readonly clock?: VirtualClock;
  readonly vault?: SimulatedVault;

  /** Ends every connection that was started. */
  close(): Promise<void>;
}

/** Makes worlds that know nothing of each other, so that rules are tried side by side. */
export interface Worlds {
  open(): Promise<World>;
  stop(): Promise<void>;
}
