import { channel } from 'node:diagnostics_channel';
import type { VaultErrorCode } from '../errors/vault-error.js';
import type { Operation } from './counters.js';
import type { LoginReason, RotationReason, VaultEvent } from './events.js';
import type { PoolEvent } from './pool-events.js';
import type { ConnectionStatus } from './status.js';

/** The channels of Node's `diagnostics_channel`. Their names and messages are a contract; both copies of the package use them. */
export const CHANNELS = {
  event: channel('nestjs-vault:event'),
  requestStart: channel('nestjs-vault:request:start'),
  requestEnd: channel('nestjs-vault:request:end'),
  taskAsked: channel('nestjs-vault:task:asked'),
  taskStart: channel('nestjs-vault:task:start'),
  taskEnd: channel('nestjs-vault:task:end'),
  pool: channel('nestjs-vault:pool'),
} as const;

/**
 * A connection, as the messages of all channels name it: one object for each connection. It ends with the event `closed`.
 *
 * @publicApi
 */
export interface VaultSource {
  /** Name of the connection. */
  readonly name: string;
  /** Whether the last request that shows it found a working server; `true` before the first one. */
  readonly reachable: boolean;
  /** The time of the connection's clock, in milliseconds since 1970: for times in the status. */
  now(): number;
  /** The present status; with thousands of leases it takes milliseconds. */
  status(): ConnectionStatus;
}

/**
 * A message of the channel `nestjs-vault:event`.
 *
 * @publicApi
 */
export interface VaultEventMessage {
  readonly source: VaultSource;
  readonly event: VaultEvent;
}

/**
 * The reason for which the transport sent a request again: the connection was dropped while it was idle, an address did
 * not serve it, a standby named its leader, or a node lacked a state that the request requires. @inline
 */
export type ResendReason = 'stale-socket' | 'other-address' | 'redirect' | 'behind';

/**
 * One request to the server. The channels `nestjs-vault:request:start` and `nestjs-vault:request:end` get the same
 * object; the second one with `outcome`. It holds no token, no header, no body and no name of a secret.
 *
 * @publicApi
 */
export interface VaultRequestMessage {
  readonly source: VaultSource;
  /** The purpose, as the counters of the status name it. */
  readonly operation: Operation;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'LIST';
  /** The API path with `{path}`, `{role}` or `{name}` in place of names: `secret/data/{path}`. */
  readonly path: string;
  /** The login or issue that it is a part of. A request without one belongs to its caller, or to the connection. */
  readonly task?: VaultTaskMessage;
  readonly outcome?: VaultRequestOutcome;
}

/**
 * The end of a request.
 *
 * @publicApi
 */
export interface VaultRequestOutcome {
  /** Milliseconds, until the caller had the answer or the error. */
  readonly duration: number;
  /** HTTP status, if there was an answer. */
  readonly status?: number;
  /** Code of the `VaultError`. */
  readonly error?: VaultErrorCode;
  /** The id of the request in the audit log of the server. Errors of servers have none. */
  readonly requestId?: string;
  /** The address that answered. */
  readonly address?: string;
  /** Whether the answer has a new lease. */
  readonly leased: boolean;
  /** Whether a cache answered, so that the server executed nothing. */
  readonly cached: boolean;
  /** One entry for each time that it was sent again. */
  readonly resends: readonly ResendReason[];
}

/**
 * A caller asks for work that all callers share: published in the context of the caller, before the task begins.
 *
 * @publicApi
 */
export interface VaultAskMessage {
  readonly source: VaultSource;
  /** The task that asks: an issue that needs a login first. */
  readonly task?: VaultTaskMessage;
}

/**
 * Work that belongs to the connection: a login, or an attempt to issue a secret. The channels `nestjs-vault:task:start` and
 * `nestjs-vault:task:end` get the same object; the second one with `outcome`.
 *
 * @publicApi
 */
export interface VaultTaskMessage {
  readonly source: VaultSource;
  /** `issue`: the first one of a path; `rotation`: one that replaces it. */
  readonly kind: 'login' | 'issue' | 'rotation';
  readonly reason: LoginReason | RotationReason | 'first';
  /** API path of the secret. */
  readonly path?: string;
  /** The message of `nestjs-vault:task:asked` that caused it; absent if its time had come. */
  readonly asked?: VaultAskMessage;
  readonly outcome?: VaultTaskOutcome;
}

/**
 * The end of a task.
 *
 * @publicApi
 */
export interface VaultTaskOutcome {
  /** Milliseconds, with all waiting. */
  readonly duration: number;
  /** Code of the `VaultError`. */
  readonly error?: VaultErrorCode;
  /** Number of the new lease or token; absent after a failure, and if the secret was read again and is the same. */
  readonly serial?: number;
}

/**
 * A message of the channel `nestjs-vault:pool`.
 *
 * @publicApi
 */
export interface VaultPoolMessage {
  readonly source: VaultSource;
  /** Package of the driver. */
  readonly driver: string;
  /** API path of the credentials. */
  readonly path: string;
  /** Serial number of their lease. */
  readonly serial: number;
  readonly type: PoolEvent['type'];
  /** Number of connections for `drain-timeout`; otherwise 1. */
  readonly count: number;
}
