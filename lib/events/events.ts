import { Subject, type Observable } from 'rxjs';
import type { VaultError } from '../errors/vault-error.js';
import type { WarningCode } from './log-lines.js';
import type { PoolEvent } from './pool-events.js';
import type { NextStep } from './next-step.js';

/** The reason for a new lease. */
export type RotationReason =
  | 'max-ttl'
  | 'not-renewable'
  | 'token'
  /** It ended before its time. */
  | 'lease-lost'
  /** Its deadline, or that of its token, had passed before it could be renewed or replaced. */
  | 'expired'
  | 'renewal-failing'
  /** A consumer was rejected with the credentials. */
  | 'rejected'
  /** The server itself changed the password of a static role. */
  | 'server';

/** The reason for a login: the start, or the problem of the previous token. */
export type LoginReason =
  | 'start'
  | 'max-ttl'
  | 'not-renewable'
  | 'renewal-failing'
  /** It ended before its time. */
  | 'token-lost'
  /** Its deadline had passed before a renewal or login succeeded. */
  | 'expired'
  | 'uses'
  /** The file of a given token contains another one. */
  | 'source';

/** The members of every event. @inline */
interface EventBase {
  /** Name of the connection. */
  connection: string;
  at: Date;
}

/** Further members of events about one secret. @inline */
interface LeaseEventBase extends EventBase {
  path: string;
  /** Serial number of the lease within its path, from 1. */
  serial: number;
}

/** Further members of events about a token or lease that is valid. @inline */
interface LifeDetails {
  validUntil: Date;
  /** The next step, if nothing happens before. */
  next: NextStep;
}

/** Further members of events about a failed attempt. @inline */
interface FailureDetails {
  error: VaultError;
  retryAt: Date;
  /** Number of failed attempts in a row. */
  attempt: number;
}

/** The result of a renewal. @inline */
interface RenewalDetails extends LifeDetails {
  /** TTLs of this grant and of the previous one, in milliseconds. */
  ttl: number;
  previousTtl: number;
  /** Whether it is near its max TTL, and so will be replaced. */
  capped: boolean;
}

/**
 * An event of a connection, without any secret; discriminated by `type`.
 *
 * @publicApi
 */
export type VaultEvent =
  /** A login made a token. */
  | (EventBase & LifeDetails & { type: 'login'; sequence: number; reason: LoginReason })
  /** `sequence` is the current token, 0 if there is none; without one, the next login comes with the next request. */
  | (EventBase & FailureDetails & { type: 'login-failed'; sequence: number })
  | (EventBase & RenewalDetails & { type: 'token-renewed'; sequence: number })
  | (EventBase & FailureDetails & { type: 'token-renewal-failed'; sequence: number })
  /** A token ended: the client requested its revocation, which ends all its leases; `given` tokens are not revoked. */
  | (EventBase & {
      type: 'token-ended';
      sequence: number;
      how: 'revoke-requested' | 'revoke-failed' | 'given' | 'batch' | 'expired';
    })
  | (LeaseEventBase & LifeDetails & { type: 'issued'; renewable: boolean })
  | (LeaseEventBase & RenewalDetails & { type: 'renewed' })
  | (LeaseEventBase & FailureDetails & { type: 'renewal-failed'; validUntil: Date })
  /** A new lease was issued and published in place of the previous one; `serial` is that of the new lease. */
  | (LeaseEventBase & LifeDetails & { type: 'rotated'; reason: RotationReason })
  | (EventBase &
      FailureDetails & {
        type: 'rotation-failed';
        path: string;
        reason: RotationReason | 'first';
        validUntil?: Date;
      })
  /** All holders of a superseded lease have released it. */
  | (LeaseEventBase & { type: 'drained' })
  /**
   * A superseded lease: the client `asked` the server to end it soon, or it ended by its own TTL, or with its token.
   */
  | (LeaseEventBase & { type: 'retired'; how: 'asked' | 'expired' | 'with-token' })
  /** The application does not use the path any more: `release`, no subscriber, or a first read that failed for good. */
  | (EventBase & { type: 'released'; path: string })
  /** The deadline passed before a new lease was issued: consumers have no credentials. */
  | (LeaseEventBase & { type: 'expired'; error?: VaultError })
  /**
   * A watched KV secret or folder: a new version, a failed read that is retried, the first read that works again, or a secret
   * that the server has no more.
   */
  | (EventBase & { type: 'secret-changed'; path: string; version?: number })
  | (EventBase & FailureDetails & { type: 'secret-read-failed'; path: string })
  | (EventBase & { type: 'secret-recovered'; path: string; version?: number })
  | (EventBase & { type: 'secret-gone'; path: string; error: VaultError })
  /** A new value of an injected live secret has no such key, or does not match its schema: the last one stays in use. */
  | (EventBase & { type: 'secret-invalid'; path: string; version?: number; error: VaultError })
  /** A warning of the server, or a foreseeable problem of the kind `code`: each is emitted once for each path. */
  | (EventBase & { type: 'warning'; code: WarningCode; path?: string; message: string })
  /** A choice that the package made, for an operator who looks for it, as the auth method of `firstAvailable`. */
  | (EventBase & { type: 'notice'; message: string })
  /**
   * An event of a pool that an operator should see; `serial` is that of the lease. `pool` is the package of the driver.
   */
  | (LeaseEventBase & {
      type: 'pool-warning';
      pool: string;
      reason: Exclude<PoolEvent['type'], 'rotated'>;
      message: string;
    })
  /** The files of the `tls` options have new contents, which new connections use. */
  | (EventBase & { type: 'tls-reloaded'; files: readonly string[] })
  /** No request gets an answer of a working server: connection refused, no answer, sealed, or without a leader. */
  | (EventBase & { type: 'vault-unreachable'; error: VaultError })
  /** A request has got an answer again, after so many milliseconds. */
  | (EventBase & { type: 'vault-recovered'; after: number })
  | (EventBase & { type: 'closing' })
  | (EventBase & { type: 'closed' });

/** An event before the bus has added connection and time. */
export type EventInit = VaultEvent extends infer E
  ? E extends VaultEvent
    ? Omit<E, 'connection' | 'at'>
    : never
  : never;

const KEPT = 100;

/**
 * The events of an application: a hot stream, and a buffer of the last ones, so that the start can be examined later.
 */
export class EventBus {
  readonly #events = new Subject<VaultEvent>();
  readonly #recent: VaultEvent[] = [];

  readonly events$: Observable<VaultEvent> = this.#events.asObservable();

  get recent(): readonly VaultEvent[] {
    return this.#recent.slice();
  }

  emit(event: VaultEvent): void {
    this.#recent.push(event);
    if (this.#recent.length > KEPT) this.#recent.shift();
    this.#events.next(event);
  }

  close(): void {
    this.#events.complete();
  }
}
