import type { ApiResponse } from '../client/api-client.js';
import type { Clock } from '../clock/clock.js';
import { after, earlier, remaining, type Deadline } from '../clock/deadline.js';
import { apart } from '../clock/apart.js';
import { Secret } from '../secret/secret.js';
import type { Generation } from '../session/generation.js';
import { firstGrant, type Grant } from '../session/grant.js';
import type { LeaseView } from './lease-policy.js';

/**
 * What is known of the lease behind a credential, when the snapshot was taken.
 *
 * @publicApi
 */
export interface LeaseInfo {
  /** The API path it was issued at. */
  readonly path: string;
  readonly issuedAt: Date;
  /** The earlier of the lease's end and of its token's, which takes the lease along; renewals move it. */
  readonly validUntil: Date;
  /** Serial number of the lease within its path, from 1; events carry the same. */
  readonly serial: number;
  /** Serial number of the token that made it, within the connection. */
  readonly generation: number;
  readonly renewable: boolean;
  /**
   * Keeps the lease renewed after a newer one took its place, for as long as its max TTL allows, until the function
   * it returns is called. Pools take a hold for the connections they opened with it.
   */
  hold(need?: HoldNeed): () => void;
  /**
   * Tells that a consumer was refused with it. The server is asked, once however many ask, whether the lease lives;
   * where it does not, or where the consumer is `certain` that it is of no use, a new one is issued: as often as the
   * limit on issues allows. Snapshots that a test makes by hand need not have it.
   */
  refused?(certain: boolean): Promise<void>;
}

/**
 * What {@link LeaseInfo.hold} is for.
 *
 * @publicApi
 */
export interface HoldNeed {
  /**
   * Milliseconds it will take to let go, once a newer lease has taken over. It is kept so long that this much is left
   * of it then, as far as its max TTL allows; where it does not, a `warning` event and the status tell. @default 0
   */
  drain?: number;
  /**
   * Called once, shortly before a lease that was superseded ends though it is held; not where it ends without a warning
   * (revoked, or with its token).
   */
  onEnding?: () => void;
}

/**
 * A lease-backed secret as it is now: immutable, and published in one piece.
 *
 * @publicApi
 */
export interface Credentials<T = unknown> {
  readonly data: Secret<T>;
  readonly lease: LeaseInfo;
}

/** What a lease tells the secret it belongs to. */
export interface LeaseHooks {
  /** Its consumers need more time to let go of it than was known. */
  needed(lease: Lease<unknown>): void;
  /** A consumer was refused with it. */
  refused(lease: Lease<unknown>, certain: boolean): Promise<void>;
}

/** One issued secret with its deadline. It belongs to the token that made it, and dies with it. */
export class Lease<T> {
  readonly id: string;
  readonly path: string;
  readonly serial: number;
  readonly generation: Generation;
  readonly data: Secret<T>;
  readonly issuedAt: Date;
  /** Milliseconds granted at the issue. */
  readonly firstTtl: number;
  grant: Grant;
  renewable: boolean;
  /** The server said so. */
  over = false;
  /** The server was asked to end it. */
  retired = false;
  /** Monotonic time from which on it is replaced, as a consumer was refused with it. */
  rejectedAt: number | undefined;
  /** Milliseconds its consumers need to let go of it. */
  drain = 0;
  readonly #bornAt: number;
  readonly #hooks: LeaseHooks;
  #endings: Set<() => void> | undefined;
  #holds = 0;
  #refresh: Deadline | undefined;
  #onDrained: (() => void) | undefined;
  #snapshot: Credentials<T> | undefined;

  constructor(
    init: { path: string; serial: number; generation: Generation; response: ApiResponse<T> },
    random: () => number,
    hooks: LeaseHooks,
  ) {
    const { response } = init;
    this.#hooks = hooks;
    this.id = response.leaseId;
    this.path = init.path;
    this.serial = init.serial;
    this.generation = init.generation;
    this.data = new Secret(deepFreeze(response.data));
    this.issuedAt = new Date(response.sentAt.wall);
    // Without a lease (static roles, KV) the server says 0, which means no deadline rather than a past one.
    const leased = response.leaseId !== '';
    const seconds = leased ? response.leaseDuration : secondsToExpiration(response);
    this.grant = firstGrant(seconds, response.sentAt, random);
    this.firstTtl = this.grant.ttl;
    this.#bornAt = response.sentAt.monotonic;
    // A lease that is to last less than half a second is granted 0.
    this.over = leased && response.leaseDuration <= 0;
    this.renewable = leased && response.renewable;
    if (leased) this.generation.leases.add(this);
    else this.#refresh = refreshTime(response, random);
  }

  /** Whether a later one holds something else. */
  differsFrom(other: Lease<T>): boolean {
    return comparable(this.data) !== comparable(other.data);
  }

  /** Milliseconds until it, or the token it dies with, is over. */
  left(clock: Clock): number {
    if (this.over) return 0;
    const own = remaining(this.grant.deadline, clock);
    return this.id === '' ? own : Math.min(own, this.generation.left(clock));
  }

  validUntil(): Date {
    const { deadline } = this.grant;
    const end = this.id === '' ? deadline : earlier(deadline, this.generation.grant.deadline);
    return new Date(Math.min(end.wall, 8.64e15));
  }

  view(clock: Clock): LeaseView {
    const { supersededAt } = this.generation;
    const { ttl, maxTtl, jitter, deadline } = this.grant;
    return {
      ttl,
      maxTtl,
      jitter,
      firstTtl: this.firstTtl,
      age: clock.monotonic() - this.#bornAt,
      drain: this.drain,
      left: this.over ? 0 : remaining(deadline, clock),
      tokenLeft: this.id === '' ? Infinity : this.generation.left(clock),
      renewable: this.renewable,
      superseded: supersededAt === undefined || this.id === '' ? undefined : clock.monotonic() - supersededAt,
      ...(this.#refresh && { refreshIn: remaining(this.#refresh, clock) }),
    };
  }

  snapshot(): Credentials<T> {
    const validUntil = this.validUntil();
    if (this.#snapshot?.lease.validUntil.getTime() !== validUntil.getTime()) {
      const { path, serial, issuedAt, renewable, generation } = this;
      const lease = Object.freeze({
        path,
        serial,
        issuedAt,
        validUntil,
        generation: generation.number,
        renewable,
        hold: (need?: HoldNeed) => this.#hold(need),
        refused: (certain: boolean) => this.#hooks.refused(this, certain),
      });
      this.#snapshot = Object.freeze({ data: this.data, lease });
    }
    return this.#snapshot as Credentials<T>;
  }

  get held(): boolean {
    return this.#holds > 0;
  }

  /** Calls back once, when the last hold is gone. */
  whenDrained(callback: () => void): void {
    this.#onDrained = callback;
  }

  /** Tells those who hold it, once. */
  ending(): void {
    const endings = this.#endings ?? [];
    this.#endings = undefined;
    for (const tell of endings) apart(tell);
  }

  #hold({ drain = 0, onEnding }: HoldNeed = {}): () => void {
    let held = true;
    this.#holds++;
    if (onEnding) (this.#endings ??= new Set()).add(onEnding);
    if (drain > this.drain) {
      this.drain = drain;
      this.#hooks.needed(this);
    }
    return () => {
      if (!held) return;
      held = false;
      if (onEnding) this.#endings?.delete(onEnding);
      if (--this.#holds > 0) return;
      const drained = this.#onDrained;
      this.#onDrained = undefined;
      drained?.();
    };
  }
}

/**
 * When to read a static role again: when its period is over, and a little later. The server tells `ttl: 0` (for keys of
 * AWS, a moment that is past) for some seconds, until its own ticker has rotated it.
 */
function refreshTime({ data, sentAt }: ApiResponse<unknown>, random: () => number): Deadline | undefined {
  const { ttl, last_vault_rotation: rotated, expiration } = (data ?? {}) as Record<string, unknown>;
  const ofDatabase = typeof ttl === 'number' && rotated !== undefined ? ttl * 1_000 : NaN;
  const left = typeof expiration === 'string' ? Date.parse(expiration) - sentAt.wall : ofDatabase;
  if (Number.isNaN(left)) return undefined;
  return after(sentAt, left > 0 ? left + 500 * (1 + random()) : 1_000 * (1 + random()));
}

/** A certificate has no lease, but an end all the same, in seconds since 1970. 0 where there is none. */
function secondsToExpiration({ data, sentAt }: ApiResponse<unknown>): number {
  const { expiration } = (data ?? {}) as Record<string, unknown>;
  return typeof expiration === 'number' ? Math.max(expiration - sentAt.wall / 1_000, 0.001) : 0;
}

/** What is left of a static role's period differs at each read. */
function comparable(data: Secret<unknown>): string {
  return JSON.stringify({ ...(data.reveal() as object), ttl: undefined });
}

function deepFreeze<V>(value: V): V {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
