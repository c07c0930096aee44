import type { CheckedLogin } from '../auth/checked-login.js';
import type { Clock, Times } from '../clock/clock.js';
import { remaining } from '../clock/deadline.js';
import { LAST_DATE } from '../events/expiry.js';
import type { Secret } from '../secret/secret.js';
import { firstGrant } from '../lifetime/grant.js';
import { Granted } from '../lifetime/lifecycle.js';
import type { TokenView } from './token-policy.js';

/** One token through its life, with the leases that die with it. */
export class VaultToken extends Granted {
  readonly sequence: number;
  /** Absent if an agent between this process and the server attaches its own. */
  readonly value: Secret | undefined;
  readonly accessor: string;
  readonly own: boolean;
  /** For requests about the token itself: where it was made, if not in the connection's own namespace. */
  readonly namespaceOverride: { namespace?: string };
  /** Monotonic time. */
  readonly madeAt: number;
  /** Leases made with this token that have not ended. */
  readonly leases = new Set<object>();
  /** Milliseconds granted by the login. */
  readonly firstTtl: number;
  readonly #identity: string;
  readonly #type: string;
  #uses: number;
  #drain: number;
  #supersededAt: number | undefined;

  /** @param drain the drain time of the token before it */
  constructor(number: number, login: CheckedLogin, random: () => number, drain = 0) {
    super(firstGrant({ ...login, seconds: login.ttl }, random));
    this.sequence = number;
    this.value = login.token;
    this.accessor = login.accessor;
    this.own = login.own;
    this.namespaceOverride = login.namespace === undefined ? {} : { namespace: login.namespace };
    this.#identity = login.identity;
    this.#type = login.type;
    this.madeAt = login.sentAt.monotonic;
    this.firstTtl = this.grant.ttl;
    this.#drain = drain;
    this.#uses = login.uses > 0 ? login.uses : Infinity;
  }

  /** Whether a login has returned this token again. */
  isOf({ token, identity }: CheckedLogin): boolean {
    return this.value && token
      ? this.value.reveal() === token.reveal()
      : !this.value && !token && this.#identity === identity;
  }

  /** Every authenticated request costs a use, whatever is answered. */
  spend(): void {
    this.#uses--;
  }

  /** The last use is gone. */
  get exhausted(): boolean {
    return this.#uses <= 0;
  }

  /** Milliseconds: the longest that consumers needed to drain a lease of this token, or of one before it. */
  get drain(): number {
    return this.#drain;
  }

  /** @returns whether this is longer than before */
  requireDrain(drain: number): boolean {
    const longer = drain > this.#drain;
    if (longer) this.#drain = drain;
    return longer;
  }

  /** Monotonic time at which a newer token took over. */
  get supersededAt(): number | undefined {
    return this.#supersededAt;
  }

  supersede(clock: Clock): void {
    this.#supersededAt = clock.monotonic();
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

  left(clock: Times): number {
    return this.ended ? 0 : Math.max(0, remaining(this.grant.deadline, clock));
  }

  /** Whether its deadline has passed. If not, one that has ended was revoked. */
  expired(clock: Times): boolean {
    return remaining(this.grant.deadline, clock) <= 0;
  }

  view(clock: Times): TokenView {
    const { ended, firstTtl } = this;
    const { ttl, maxTtl, jitter, renewable, periodic } = this.grant;
    const age = clock.monotonic() - this.madeAt;
    // The package never replaces a given token, so no drain time is reserved.
    const drain = this.own && !periodic ? this.#drain : 0;
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
      dead: ended,
      expired: this.expired(clock),
    };
  }
}
