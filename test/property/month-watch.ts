import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { VaultEvent } from '../../lib/events/events.js';
import { SECOND, type Snapshot, type User } from './consumers.js';
import type { End, Month } from './month.js';
import type { KnownLease } from './witness.js';

const MINUTE = 60 * SECOND;
/** Time to recover after a fault: the longest back-off, and the issue limit. */
const RECOVERY = 150 * SECOND;
/** The latest share of a TTL at which a lease or a token is renewed. */
const LATEST_RENEWAL = 0.71;
/** The TTL of the shortest lease. */
const SHORTEST = 5 * MINUTE;

/** Checks the invariants at each moment of a month, and counts the checks. */
export class MonthWatch {
  /** Number of checks of published credentials. */
  looks = 0;
  /** Checks of credentials that an operator had ended without the client's knowledge; the longest such time. */
  readonly unnoticed = { looks: 0, longest: 0 };
  readonly #month: Month;
  /** Paths with an event since the last check. */
  readonly #touched = new Set<string>();
  /** The first failure that rxjs would have swallowed. */
  #failure: unknown;
  #nextRound = 0;

  constructor(month: Month) {
    this.#month = month;
    month.bus.events$.subscribe((event) => {
      try {
        this.#happened(event);
      } catch (error) {
        this.#failure ??= error;
      }
    });
  }

  /** Whether the last fault is so long ago that everything must work. */
  get calm(): boolean {
    const { clock, lastTrouble } = this.#month;
    return clock.elapsed - lastTrouble > RECOVERY;
  }

  /** Called when all pending work has settled: checks paths with events, and all paths every few minutes. */
  rest(): void {
    const { clock, witness, consumers } = this.#month;
    consumers.assertNoFailure();
    if (this.#failure) throw this.#failure;
    // One timer of the scheduler, and during a fault those of requests (two if the answer is late) and of a look-up.
    const most = this.calm ? 1 : 3 + 2 * witness.inFlight;
    assert.ok(clock.pending <= most, `${clock.pending} timers are pending, and ${most} are explained`);
    if (consumers.closing) return;
    assert.ok(clock.pending > 0, 'no timer is pending');
    if (clock.elapsed >= this.#nextRound) this.round();
    for (const path of this.#touched) this.#judge(path);
    this.#touched.clear();
  }

  /** Checks all paths, and sets the time of the next such check. */
  round(): void {
    const { roles, clock } = this.#month;
    this.#nextRound = clock.elapsed + (this.calm ? 5 * MINUTE : MINUTE);
    for (const path of roles.keys()) this.#look(path);
  }

  /** The next deadline of a credential, in world time; none is reached while everything works. */
  nextEnding(): number {
    const { clock, connection } = this.#month;
    if (this.calm) return Infinity;
    const ends = connection.leases.status().map(({ state, validUntil }) => {
      const left = (validUntil?.getTime() ?? Infinity) - clock.wall() - 1;
      return state !== 'expired' && left > 0 ? left : Infinity;
    });
    return clock.elapsed + Math.max(1, Math.min(...ends));
  }

  /** Published credentials work at the server, unless the client could not know of their end. */
  handedOut({ data, lease }: Snapshot, how: string): void {
    const { clock, vault, witness, ended } = this.#month;
    const { username, password } = data.reveal();
    const left = lease.validUntil.getTime() - clock.wall();
    const what = `${how}: ${lease.path} serial ${lease.serial}, ${left} ms left by its own account`;
    this.looks++;
    assert.ok(left > 0, `published after its deadline: ${what}`);
    if (vault.isValid(username, password)) return;
    const known = witness.byUsername.get(username);
    assert.ok(known, `never issued: ${what}`);
    const end = ended.get(known.id);
    if (end) return this.#unnoticed(known, end, what);
    // The server counts in whole seconds: near the max TTL the last second may be missing.
    assert.ok(left <= SECOND, `invalid at the server, though no operator ended it: ${what}`);
  }

  /** A lease that an operator ended is in use until its next renewal at the latest, unless there is another fault. */
  #unnoticed(lease: KnownLease, end: End, what: string): void {
    const { clock, witness, character, lastTrouble, roles } = this.#month;
    assert.ok(
      !witness.reportedEnd(lease, end.at),
      `published though the server had reported its end: ${what}`,
    );
    const since = character.sleeps ? clock.elapsed - end.at : clock.monotonic() - end.monotonic;
    const life = (roles.get(lease.path)?.ttl ?? 0) * SECOND;
    // The first request shows the end of a token, and some lease is renewed every few minutes.
    const asks = LATEST_RENEWAL * (end.token ? Math.min(life, SHORTEST) : life) + 2 * SECOND;
    const limit = lastTrouble <= end.at ? asks : life;
    assert.ok(since <= limit, `ended ${since} ms ago, and not noticed since: ${what}`);
    this.unnoticed.looks++;
    this.unnoticed.longest = Math.max(this.unnoticed.longest, since);
  }

  #look(path: string): void {
    const snapshot = this.#month.connection.leases.current<User>(path);
    if (snapshot) this.handedOut(snapshot, 'current');
    else this.#judge(path);
  }

  /** Checks the status against the facts. */
  #judge(path: string): void {
    const { leases } = this.#month.connection;
    const snapshot = leases.current<User>(path);
    if (snapshot) this.handedOut(snapshot, 'current');
    const status = leases.statusOf(path);
    assert.ok(status, `${path} is forgotten`);
    const { state, next } = status;
    const has = state === 'valid' || state === 'degraded';
    assert.equal(snapshot !== undefined, has, `${path} is ${state}, but current() says otherwise`);
    assert.ok(next.at, `${path}: nothing will happen`);
    if (state !== 'valid' && this.calm) assert.fail(`all is well, but not ${inspect(status)}`);
  }

  /** A credential expires without a successor only after a fault of its path or of the whole system. */
  #happened(event: VaultEvent): void {
    if (!('path' in event) || !event.path) return;
    this.#touched.add(event.path);
    if (event.type !== 'expired' || !this.calm) return;
    const revoked = [...this.#month.ended.keys()].some((id) => id.startsWith(`${event.path}/`));
    assert.ok(revoked, `all was well, but ${event.path} expired`);
  }
}
