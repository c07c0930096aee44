import type { Login } from '../auth/auth-method.js';
import type { Clock } from '../clock/clock.js';
import { remaining } from '../clock/deadline.js';
import type { Secret } from '../secret/secret.js';
import { firstGrant, type Grant } from '../lifetime/grant.js';
import type { TokenView } from './token-policy.js';

/** The last moment that a Date can hold, for tokens that never expire. */
const LAST_DATE = 8.64e15;

/** One token through its life, with the leases that die with it. */
export class VaultToken {
  readonly sequence: number;
  readonly value: Secret;
  readonly accessor: string;
  readonly own: boolean;
  /** For requests about the token itself: where it was made, if not in the connection's own namespace. */
  readonly namespaceOverride: { namespace?: string };
  /** Monotonic time. */
  readonly madeAt: number;
  /** Leases made with this token that have not ended. */
  readonly leases = new Set<object>();
  /** Monotonic time at which a newer token took over. */
  supersededAt: number | undefined;
  dead = false;
  /** It died soon after it was made, and so did the one before. */
  rejectedOnArrival = false;
  renewable: boolean;
  grant: Grant;
  /** Milliseconds granted by the login. */
  readonly firstTtl: number;
  /** Milliseconds: the longest that consumers needed to let go of a lease, of this token or one before it. */
  drain = 0;
  /** It gets its period at each renewal, whatever is asked for, and needs no successor. */
  periodic = false;
  #uses: number;
  readonly #type: string;

  constructor(number: number, login: Login, random: () => number) {
    this.sequence = number;
    this.value = login.token;
    this.accessor = login.accessor;
    this.own = login.own;
    this.namespaceOverride = login.namespace === undefined ? {} : { namespace: login.namespace };
    this.#type = login.type;
    this.madeAt = login.sentAt.monotonic;
    this.renewable = login.renewable;
    this.grant = firstGrant(login.ttl, login.sentAt, random);
    this.firstTtl = this.grant.ttl;
    this.#uses = login.uses > 0 ? login.uses : Infinity;
  }

  /** Every authenticated request costs a use, whatever is answered. */
  spend(): void {
    this.#uses--;
  }

  /** The last use is gone. */
  get exhausted(): boolean {
    return this.#uses <= 0;
  }

  /** Whether the server would revoke it when asked to. */
  get revocable(): boolean {
    return this.own && this.#type !== 'batch';
  }

  validUntil(): Date {
    return new Date(Math.min(this.grant.deadline.wall, LAST_DATE));
  }

  /** One more request would be its last, and end it with every lease it made. */
  get lastUse(): boolean {
    return this.#uses <= 1;
  }

  left(clock: Clock): number {
    return this.dead ? 0 : Math.max(0, remaining(this.grant.deadline, clock));
  }

  view(clock: Clock): TokenView {
    const { dead, renewable, firstTtl, grant } = this;
    const { ttl, maxTtl, jitter } = grant;
    const age = clock.monotonic() - this.madeAt;
    // The package never replaces a given token, so no drain time is reserved.
    const drain = this.own && !this.periodic ? this.drain : 0;
    return {
      ttl,
      maxTtl,
      jitter,
      firstTtl,
      age,
      left: this.left(clock),
      renewable,
      drain,
      uses: this.#uses,
      dead,
    };
  }
}
