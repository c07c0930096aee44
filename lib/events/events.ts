import { Subject, type Observable } from 'rxjs';
import type { VaultError } from '../errors/vault-error.js';

/** Why a secret was issued anew. */
export type RotationReason =
  | 'max-ttl'
  | 'not-renewable'
  | 'token'
  | 'lease-lost'
  | 'expired'
  | 'renewal-failing'
  /** A consumer was refused with it. */
  | 'rejected'
  /** The server itself changed what is behind a static role. */
  | 'server';

/** Why a login was made: the first one, or what was the matter with the token before. */
export type LoginReason =
  | 'start'
  | 'max-ttl'
  | 'not-renewable'
  | 'renewal-failing'
  | 'token-lost'
  | 'uses'
  /** The file of a given token holds another one. */
  | 'source';

/** What every event tells. */
interface EventBase {
  /** Name of the connection. */
  connection: string;
  at: Date;
}

/** What events about one secret tell besides. */
interface LeaseEventBase extends EventBase {
  path: string;
  /** Serial number of the lease within its path, from 1. */
  serial: number;
}

/** What a renewal brought. */
interface RenewalDetails {
  validUntil: Date;
  /** Milliseconds granted, and those granted before. */
  ttl: number;
  previousTtl: number;
  /** It is near its max TTL, and will be replaced. */
  capped: boolean;
}

/**
 * What happens over time, without any secret in it; discriminated by `type`.
 *
 * @publicApi
 */
export type VaultEvent =
  /** A login made a token. */
  | (EventBase & {
      type: 'login';
      generation: number;
      validUntil: Date;
      reason: LoginReason;
    })
  /** `generation` is the token in use, 0 where there is none; without one, no login is made before something asks again. */
  | (EventBase & { type: 'login-failed'; generation: number; error: VaultError; retryAt: Date })
  | (EventBase & RenewalDetails & { type: 'token-renewed'; generation: number })
  | (EventBase & { type: 'token-renewal-failed'; generation: number; error: VaultError; retryAt: Date })
  /** The server was asked to revoke a token, and so all its leases; `given` tokens are left alone. */
  | (EventBase & {
      type: 'token-ended';
      generation: number;
      how: 'revoke-requested' | 'revoke-failed' | 'given' | 'batch' | 'expired';
    })
  | (LeaseEventBase & { type: 'issued'; validUntil: Date; renewable: boolean })
  | (LeaseEventBase & RenewalDetails & { type: 'renewed' })
  | (LeaseEventBase & { type: 'renewal-failed'; error: VaultError; retryAt: Date; validUntil: Date })
  /** A new lease was issued and published in place of the one before; `serial` is the new one's. */
  | (LeaseEventBase & { type: 'rotated'; reason: RotationReason; validUntil: Date })
  | (EventBase & {
      type: 'rotation-failed';
      path: string;
      reason: RotationReason | 'first';
      error: VaultError;
      retryAt: Date;
      validUntil?: Date;
    })
  /** All who held a superseded lease let go of it. */
  | (LeaseEventBase & { type: 'drained' })
  /** A superseded lease: the server was `asked` to end it soon, or it ended by its own TTL, or with its token. */
  | (LeaseEventBase & { type: 'retired'; how: 'asked' | 'expired' | 'with-token' })
  /** The deadline passed before a new one could be issued: consumers are without credentials. */
  | (LeaseEventBase & { type: 'expired'; error?: VaultError })
  /** A KV secret that is watched: another version, a read that is tried again, or gone from the server. */
  | (EventBase & { type: 'secret-changed'; path: string; version?: number })
  | (EventBase & { type: 'secret-read-failed'; path: string; error: VaultError; retryAt: Date })
  | (EventBase & { type: 'secret-gone'; path: string; error: VaultError })
  /** What the server warns of, and what will cause trouble: each kind is told once for each path. */
  | (EventBase & { type: 'warning'; path?: string; message: string })
  /** Files that the `tls` options name have other contents, which new connections are made with. */
  | (EventBase & { type: 'tls-reloaded'; files: readonly string[] })
  /** No request gets an answer of a working server: refused, silent, sealed, or without a leader. */
  | (EventBase & { type: 'vault-unreachable'; error: VaultError })
  /** One does again, after so many milliseconds. */
  | (EventBase & { type: 'vault-recovered'; after: number })
  | (EventBase & { type: 'closing' })
  | (EventBase & { type: 'closed' });

/** An event before the bus has stamped it. */
export type EventInit = VaultEvent extends infer E
  ? E extends VaultEvent
    ? Omit<E, 'connection' | 'at'>
    : never
  : never;

const KEPT = 100;

/** The events of an application: hot, and the last ones kept, so that start-up can be looked at afterwards. */
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
