import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { VaultEvent } from '../../lib/events/events.js';
import { SECOND, type Snapshot, type User } from './consumers.js';
import type { End, Month } from './month.js';
import type { KnownLease } from './witness.js';

const MINUTE = 60 * SECOND;
/** After trouble, the longest back-off and the issue limit may pass before everything works. */
const RECOVERY = 150 * SECOND;
/** The latest share of a TTL at which a lease or a token is renewed. */
const LATEST_RENEWAL = 0.71;
/** The life of the shortest lease. */
const SHORTEST = 5 * MINUTE;

/** Looks at everything that must hold at each moment of a month, and counts. */
export class MonthWatch {
  /** How often what was handed out was looked at. */
  looks = 0;
  /** How often it was dead, as an operator had ended it, and the client could not know; and for how long at most. */
  readonly unnoticed = { looks: 0, longest: 0 };
  readonly #month: Month;
  /** Paths that something happened to since the last look. */
  readonly #touched = new Set<string>();
  /** What rxjs would have swallowed. */
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

  /** Nothing has gone wrong for so long that all must work. */
  get calm(): boolean {
    const { clock, lastTrouble } = this.#month;
    return clock.elapsed - lastTrouble > RECOVERY;
  }

  /** All has come to rest: what something happened to is looked at, and everything every few minutes. */
  rest(): void {
    const { clock, witness, consumers } = this.#month;
    consumers.assertNoFailure();
    if (this.#failure) throw this.#failure;
    // One of the scheduler, and in trouble those that wait: requests (two where the answer is late), a look-up.
    const most = this.calm ? 1 : 3 + 2 * witness.inFlight;
    assert.ok(clock.pending <= most, `${clock.pending} timers are pending, and ${most} are explained`);
    if (consumers.closing) return;
    assert.ok(clock.pending > 0, 'no timer is pending');
    if (clock.elapsed >= this.#nextRound) this.round();
    for (const path of this.#touched) this.#judge(path);
    this.#touched.clear();
  }

  /** Looks at everything, and says when to do it again. */
  round(): void {
    const { roles, clock } = this.#month;
    this.#nextRound = clock.elapsed + (this.calm ? 5 * MINUTE : MINUTE);
    for (const path of roles.keys()) this.#look(path);
  }

  /** When a credential will be said to end, by the time of the world; while all goes well nobody waits for that. */
  nextEnding(): number {
    const { clock, connection } = this.#month;
    if (this.calm) return Infinity;
    const ends = connection.leases.status().map(({ state, validUntil }) => {
      const left = (validUntil?.getTime() ?? Infinity) - clock.wall() - 1;
      return state !== 'expired' && left > 0 ? left : Infinity;
    });
    return clock.elapsed + Math.max(1, Math.min(...ends));
  }

  /** It works at the server, or nobody could know that it does not. */
  handedOut({ data, lease }: Snapshot, how: string): void {
    const { clock, vault, witness, ended } = this.#month;
    const { username, password } = data.reveal();
    const left = lease.validUntil.getTime() - clock.wall();
    const what = `${how}: ${lease.path} serial ${lease.serial}, ${left} ms said to be left`;
    this.looks++;
    assert.ok(left > 0, `over, and handed out: ${what}`);
    if (vault.isValid(username, password)) return;
    const known = witness.byUsername.get(username);
    assert.ok(known, `never issued: ${what}`);
    const end = ended.get(known.id);
    if (end) return this.#unnoticed(known, end, what);
    // The server counts in whole seconds: near the max TTL the last one may be missing.
    assert.ok(left <= SECOND, `dead at the server, and nobody ended it behind our back: ${what}`);
  }

  /** In use until it is told, or asks: at its next renewal at the latest, unless something else is wrong. */
  #unnoticed(lease: KnownLease, end: End, what: string): void {
    const { clock, witness, character, lastTrouble, roles } = this.#month;
    assert.ok(!witness.toldOfEnd(lease, end.at), `handed out though the server told of its end: ${what}`);
    const since = character.sleeps ? clock.elapsed - end.at : clock.monotonic() - end.monotonic;
    const life = (roles.get(lease.path)?.ttl ?? 0) * SECOND;
    // Of a token's end the first one tells that asks, and some lease is renewed every few minutes.
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

  /** The status says what is so. */
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

  /** A credential ends without another only where something was wrong with it, or with everything. */
  #happened(event: VaultEvent): void {
    if (!('path' in event) || !event.path) return;
    this.#touched.add(event.path);
    if (event.type !== 'expired' || !this.calm) return;
    const revoked = [...this.#month.ended.keys()].some((id) => id.startsWith(`${event.path}/`));
    assert.ok(revoked, `all was well, but ${event.path} expired`);
  }
}
