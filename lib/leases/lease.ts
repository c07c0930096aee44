import type { Clock } from '../clock/clock.js';
import { earlier, remaining } from '../clock/deadline.js';
import { runIsolated } from '../clock/run-isolated.js';
import { background } from '../clock/background.js';
import { comparable } from '../secret/fingerprint.js';
import { Secret } from '../secret/secret.js';
import type { VaultToken } from '../session/vault-token.js';
import { firstGrant, type Grant } from '../lifetime/grant.js';
import type { Answer, Engine } from './engine.js';
import type { LeaseView } from './lease-policy.js';
import { ServerRotation } from './server-rotation.js';

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
  readonly tokenSequence: number;
  readonly renewable: boolean;
  /**
   * Keeps the lease renewed after a newer one took its place, for as long as its max TTL allows, until the function
   * it returns is called. Pools take a hold for the connections they opened with it.
   */
  hold(need?: HoldOptions): () => void;
  /**
   * Tells that a consumer was refused with it. The server is asked, once however many ask, whether the lease lives;
   * where it does not, or where the consumer is `confirmed` that it is of no use, a new one is issued: as often as the
   * limit on issues allows. A secret without a lease is read again either way. Snapshots that a test makes by hand need
   * not have it.
   */
  reportRejected?(report: { confirmed: boolean }): Promise<void>;
  /**
   * Asked before a connection is lent; costs no I/O while the lease lives, and returns `undefined` then. Where its end
   * has passed, as after the process stood still, the server is asked, once however many ask: the promise resolves where
   * the lease lives after all, or where no server answers (then the database decides; the next one to ask does not wait).
   * It rejects with `VAULT_CREDENTIALS_EXPIRED` where the lease has ended. Snapshots that a test makes by hand need not
   * have it.
   */
  ensureValid?(): Promise<void> | undefined;
}

/**
 * What {@link LeaseInfo.hold} is for.
 *
 * @publicApi
 */
export interface HoldOptions {
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
  onDrainRequired(lease: Lease<unknown>): void;
  /** A consumer was refused with it. */
  onRejected(lease: Lease<unknown>, confirmed: boolean): Promise<void>;
  /** A consumer is about to lend a connection of it. */
  ensureValid(lease: Lease<unknown>): Promise<void> | undefined;
}

/** Seconds, as a grant takes it. */
const NO_END = 0;

/** One issued secret with its deadline. It belongs to the token that made it, and dies with it. */
export class Lease<T> {
  readonly id: string;
  readonly path: string;
  readonly serial: number;
  readonly engine: Engine;
  readonly token: VaultToken;
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
  /** From which monotonic time on it is replaced, as a consumer was refused with it, or seems to have been. */
  rejected: { at: number; confirmed: boolean } | undefined;
  /** Milliseconds its consumers need to let go of it. */
  drain = 0;
  readonly #bornAt: number;
  readonly #hooks: LeaseHooks;
  #endings: Set<() => void> | undefined;
  #holds = 0;
  readonly #rotation: ServerRotation | undefined;
  #onDrained: (() => void) | undefined;
  #snapshot: Credentials<T> | undefined;

  constructor(
    init: { serial: number; token: VaultToken; engine: Engine; answer: Answer },
    random: () => number,
    hooks: LeaseHooks,
  ) {
    const { answer, engine } = init;
    const { leaseId, leaseDuration, sentAt } = answer;
    this.#hooks = hooks;
    this.engine = engine;
    this.id = leaseId;
    this.path = answer.path;
    this.serial = init.serial;
    this.token = init.token;
    this.data = new Secret(deepFreeze(answer.data as T));
    this.issuedAt = new Date(sentAt.wall);
    const leased = leaseId !== '';
    const life = leased ? {} : engine.life(answer);
    const unleased = life.expiresIn === undefined ? NO_END : Math.max(life.expiresIn, 1) / 1_000;
    this.grant = firstGrant(leased ? leaseDuration : unleased, sentAt, random);
    this.firstTtl = this.grant.ttl;
    this.#bornAt = sentAt.monotonic;
    // A lease that is to last less than half a second is granted 0.
    this.over = leased && leaseDuration <= 0;
    this.renewable = leased && answer.renewable;
    if (leased) this.token.leases.add(this);
    if (life.rotatesIn !== undefined) this.#rotation = new ServerRotation(life, sentAt, random);
  }

  /** Whether a later one holds something else. */
  differsFrom(other: Lease<T>): boolean {
    const [own, others] = [this, other].map(({ data }) => this.engine.comparable(data.reveal() as object));
    return comparable(own) !== comparable(others);
  }

  /**
   * The same was read again, without a lease: consumers keep this one, which lives as long as the other.
   *
   * @returns milliseconds for which a rotation by the server is overdue, where it has failed; 0 otherwise
   */
  prolong(other: Lease<T>, clock: Clock, random: () => number): number {
    this.grant = other.grant;
    if (this.rejected && this.rejected.at <= other.#bornAt) this.rejected = undefined;
    return (other.#rotation && this.#rotation?.unmoved(other.#rotation, clock, random)) ?? 0;
  }

  /** Milliseconds until it, or the token it dies with, is over. */
  left(clock: Clock): number {
    if (this.over) return 0;
    const own = remaining(this.grant.deadline, clock);
    return this.id === '' ? own : Math.min(own, this.token.left(clock));
  }

  validUntil(): Date {
    const { deadline } = this.grant;
    const end = this.id === '' ? deadline : earlier(deadline, this.token.grant.deadline);
    return new Date(Math.min(end.wall, 8.64e15));
  }

  view(clock: Clock): LeaseView {
    const { supersededAt } = this.token;
    const { ttl, maxTtl, jitter, deadline } = this.grant;
    return {
      ttl,
      maxTtl,
      jitter,
      firstTtl: this.firstTtl,
      age: clock.monotonic() - this.#bornAt,
      drain: this.drain,
      left: this.over ? 0 : remaining(deadline, clock),
      tokenLeft: this.id === '' ? Infinity : this.token.left(clock),
      renewable: this.renewable,
      superseded: supersededAt === undefined || this.id === '' ? undefined : clock.monotonic() - supersededAt,
      ...(this.#rotation && { refreshIn: this.#rotation.readIn(clock) }),
    };
  }

  snapshot(): Credentials<T> {
    const validUntil = this.validUntil();
    if (this.#snapshot?.lease.validUntil.getTime() !== validUntil.getTime()) {
      const { path, serial, issuedAt, renewable, token } = this;
      const lease = Object.freeze({
        path,
        serial,
        issuedAt,
        validUntil,
        tokenSequence: token.sequence,
        renewable,
        hold: (need?: HoldOptions) => this.#hold(need),
        reportRejected: ({ confirmed }: { confirmed: boolean }) => this.#hooks.onRejected(this, confirmed),
        ensureValid: () => this.#hooks.ensureValid(this),
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
    for (const tell of endings) runIsolated(tell);
  }

  #hold({ drain = 0, onEnding }: HoldOptions = {}): () => void {
    let held = true;
    this.#holds++;
    if (onEnding) (this.#endings ??= new Set()).add(onEnding);
    if (drain > this.drain) {
      this.drain = drain;
      this.#hooks.onDrainRequired(this);
    }
    return () => {
      if (!held) return;
      held = false;
      if (onEnding) this.#endings?.delete(onEnding);
      if (--this.#holds > 0) return;
      const drained = this.#onDrained;
      this.#onDrained = undefined;
      if (drained) background(drained);
    };
  }
}

function deepFreeze<V>(value: V): V {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
