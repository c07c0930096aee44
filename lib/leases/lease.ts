import type { Clock, Times } from '../clock/clock.js';
import { remaining } from '../clock/deadline.js';
import { LAST_DATE } from '../events/expiry.js';
import { comparableJson } from '../secret/fingerprint.js';
import { Secret } from '../secret/secret.js';
import type { VaultToken } from '../session/vault-token.js';
import { firstGrant } from '../lifetime/grant.js';
import { Granted } from '../lifetime/lifecycle.js';
import type { ConnectionLink } from './connection-link.js';
import type { Answer, EngineRules } from '../engines/engine.js';
import { LeaseHolds } from './lease-holds.js';
import type { HoldOptions, LeaseInfo } from './lease-info.js';
import type { LeaseView } from './lease-policy.js';
import { LeaseSnapshot } from './lease-snapshot.js';
import { ServerRotation } from './server-rotation.js';

/**
 * A snapshot of a lease-backed secret: immutable, and published in one piece.
 *
 * @publicApi
 */
export interface Credentials<T = unknown> {
  readonly data: Secret<T>;
  readonly lease: LeaseInfo;
}

/** Callbacks from a lease to its path. */
export interface LeaseHooks {
  readonly link: ConnectionLink;
  /** A consumer needs more time to drain than all before. */
  onDrainRequired(lease: Lease<unknown>): void;
  /** A consumer reports that the credentials were rejected. */
  onRejected(lease: Lease<unknown>, confirmed: boolean): Promise<void>;
  /** A pool is about to lend a connection. */
  ensureValid(lease: Lease<unknown>): Promise<void> | undefined;
}

/** Seconds; a grant of 0 has no end. */
const NO_END = 0;

/** A report that the credentials were rejected. */
interface Rejection {
  /** Monotonic time from which on the lease is replaced. */
  readonly at: number;
  readonly confirmed: boolean;
}

/** One issued secret with its deadline. A lease ends with the token that created it. */
export class Lease<T> extends Granted {
  readonly id: string;
  readonly path: string;
  readonly serial: number;
  readonly engine: EngineRules;
  readonly token: VaultToken;
  readonly data: Secret<T>;
  /** Milliseconds since 1970. */
  readonly issuedAt: number;
  /** The TTL to keep, in milliseconds: as granted at the issue, or `renewal.ttl` if that is shorter. */
  readonly firstTtl: number;
  readonly #bornAt: number;
  readonly #hooks: LeaseHooks;
  readonly #rotation: ServerRotation | undefined;
  #rejection: Rejection | undefined;
  /** Created by the first hold, because there may be ten thousand leases. */
  #holds: LeaseHolds | undefined;
  #snapshot: (Credentials<T> & { lease: LeaseSnapshot }) | undefined;

  constructor(
    init: { serial: number; token: VaultToken; engine: EngineRules; answer: Answer; longestTtl?: number },
    random: () => number,
    hooks: LeaseHooks,
  ) {
    const { answer, engine } = init;
    const { leaseId, leaseDuration, sentAt } = answer;
    const leased = leaseId !== '';
    const life = leased ? {} : engine.life(answer);
    const unleased = life.expiresIn === undefined ? NO_END : Math.max(life.expiresIn, 1) / 1_000;
    const seconds = leased ? leaseDuration : unleased;
    const first = firstGrant({ seconds, renewable: leased && answer.renewable, sentAt }, random);
    // The server rounds a TTL below half a second to 0.
    super(leased && leaseDuration <= 0 ? { ...first, state: 'ended' } : first);
    this.#hooks = hooks;
    this.engine = engine;
    this.id = leaseId;
    this.path = answer.path;
    this.serial = init.serial;
    this.token = init.token;
    this.data = new Secret(deepFreeze(answer.data as T));
    this.issuedAt = sentAt.wall;
    this.firstTtl = Math.min(first.ttl, init.longestTtl ?? Infinity);
    this.#bornAt = sentAt.monotonic;
    if (leased) this.token.leases.add(this);
    if (life.rotatesIn !== undefined) this.#rotation = new ServerRotation(life, sentAt, random);
  }

  /** Whether another lease has different data. */
  differsFrom(other: Lease<T>): boolean {
    // The rules of an engine are for answers without a lease: a new lease is another user, whatever they say.
    const [own, others] = [this, other].map(({ id, data }) =>
      id === '' ? this.engine.comparable(data.reveal() as object) : data.reveal(),
    );
    return comparableJson(own) !== comparableJson(others);
  }

  /**
   * The same data was read again, without a lease. Consumers keep this object.
   *
   * @returns milliseconds since the due time of a rotation by the server, if it counts as failed; 0 otherwise
   */
  readAgain(other: Lease<T>, clock: Clock, random: () => number): number {
    if (this.#rejection && this.#rejection.at <= other.#bornAt) this.#rejection = undefined;
    return (other.#rotation && this.#rotation?.unmoved(other.#rotation, clock, random)) ?? 0;
  }

  /** Whether the server has reported that the lease, or its token, has ended. */
  get lost(): boolean {
    return this.ended || (this.id !== '' && this.token.ended);
  }

  /** Milliseconds until the lease or its token ends, whichever comes first. */
  left(clock: Times): number {
    if (this.ended) return 0;
    const own = remaining(this.grant.deadline, clock);
    return this.id === '' ? own : Math.min(own, this.token.left(clock));
  }

  validUntil(): Date {
    return new Date(this.end);
  }

  /** {@link validUntil} in milliseconds since 1970. */
  get end(): number {
    const { wall } = this.grant.deadline;
    const end = this.id === '' ? wall : Math.min(wall, this.token.grant.deadline.wall);
    return Math.min(end, LAST_DATE);
  }

  view(clock: Times): LeaseView {
    const { supersededAt } = this.token;
    const { ttl, maxTtl, jitter, deadline, renewable, periodic } = this.grant;
    const { lost } = this;
    const own = remaining(deadline, clock);
    const monotonic = clock.monotonic();
    return {
      ttl,
      maxTtl,
      periodic,
      jitter,
      firstTtl: this.firstTtl,
      age: monotonic - this.#bornAt,
      drain: this.drain,
      left: this.ended ? 0 : own,
      tokenLeft: this.id === '' ? Infinity : this.token.left(clock),
      renewable,
      lost,
      expired: lost && (own <= 0 || (this.id !== '' && this.token.expired(clock))),
      rejectedIn: (this.#rejection?.at ?? Infinity) - monotonic,
      superseded: supersededAt === undefined || this.id === '' ? undefined : monotonic - supersededAt,
      refreshIn: this.#rotation?.readIn(clock),
    };
  }

  snapshot(): Credentials<T> {
    if (!this.#snapshot?.lease.isCurrent)
      this.#snapshot = Object.freeze({ data: this.data, lease: new LeaseSnapshot(this) });
    return this.#snapshot;
  }

  /** The last rejection, unless the data has changed since. */
  get rejection(): Rejection | undefined {
    return this.#rejection;
  }

  reject(rejection: Rejection): void {
    this.#rejection = rejection;
  }

  get held(): boolean {
    return this.#holds !== undefined && this.#holds.count > 0;
  }

  /** Milliseconds that its consumers need to drain. */
  get drain(): number {
    return this.#holds?.drain ?? 0;
  }

  /** Calls `callback` once, when the last hold is released. */
  whenDrained(callback: () => void): void {
    this.#holds?.whenDrained(callback);
  }

  /** Notifies its holders that it ends soon. */
  notifyEnding(): void {
    this.#holds?.notifyEnding();
  }

  get link(): ConnectionLink {
    return this.#hooks.link;
  }

  reportRejected(confirmed: boolean): Promise<void> {
    return this.#hooks.onRejected(this, confirmed);
  }

  ensureValid(): Promise<void> | undefined {
    return this.#hooks.ensureValid(this);
  }

  /** Releases the hold when the returned function is called. */
  hold({ drain = 0, onEnding }: HoldOptions = {}): () => void {
    const holds = (this.#holds ??= new LeaseHolds());
    const before = holds.drain;
    const release = holds.add(drain, onEnding);
    if (holds.drain > before) this.#hooks.onDrainRequired(this);
    return release;
  }
}

function deepFreeze<V>(value: V): V {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}
