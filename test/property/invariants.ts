import assert from 'node:assert/strict';
import { SECOND, type Snapshot, type User } from './consumers.js';
import type { End, Life } from './life.js';
import type { KnownLease } from './witness.js';

/** What must hold at every moment at which all has come to rest. */
export class Invariants {
  readonly #life: Life;
  /** Of each path, the user that was handed out last. */
  readonly #inUse = new Map<string, string>();
  /** Leases that nobody uses any more: since when, and the deadline they had then. */
  readonly #leaving = new Map<string, { since: number; deadline: number }>();

  /** Users that were held, and are no more. */
  readonly #lost = new Set<string>();

  constructor(life: Life) {
    this.#life = life;
  }

  look(): void {
    const { connection, consumers, schedule, witness, clock } = this.#life;
    consumers.assertNoFailure();
    const { leases } = connection;
    if (connection.status.session.state === 'closed') return;
    for (const { path, state, next } of leases.status()) {
      const has = state === 'valid' || state === 'degraded';
      // Asking where there is nothing has an effect, which not every run is to have.
      if (!has && !schedule.asks) continue;
      const snapshot = leases.current<User>(path);
      assert.equal(snapshot !== undefined, has, `${path} is ${state}, but current() says otherwise`);
      if (snapshot) this.handedOut(snapshot, 'current');
      assert.ok(next.at || next.action === 'none', `${path}: nothing will happen`);
    }
    this.#held();
    this.#overlap();
    assert.deepEqual(witness.atOnce, [], 'asked twice at the same time');
    // One of the scheduler, and one for each that waits: requests (two where the answer is late), callers of get.
    const most = 1 + 2 * witness.inFlight + consumers.waiting + 2;
    assert.ok(clock.pending <= most, `${clock.pending} timers are pending, ${most} are explained`);
  }

  /** It works at the server, or nobody could know that it does not. */
  handedOut({ data, lease }: Snapshot, how: string): void {
    const { clock, vault, witness, ended, setBack } = this.#life;
    const { username, password } = data.reveal();
    const left = lease.validUntil.getTime() - clock.wall();
    const what = `${how}: ${lease.path} serial ${lease.serial}, ${left} ms said to be left`;
    assert.ok(left > 0, `over, and handed out: ${what}`);
    this.#inUse.set(lease.path, username);
    if (vault.isValid(username, password)) return;
    const known = witness.byUsername.get(username);
    assert.ok(known, `never issued: ${what}`);
    const end = ended.get(known.id);
    if (end) return this.#unnoticed(known, end, lease.renewable, what);
    // The server counts in whole seconds: a renewal near the max TTL may take some of the last one away, which is not
    // known where its answer is lost. A wall clock that was set back has `left` look longer by as much.
    const rounded = witness.renewalIsOpen(known) && left - setBack <= SECOND;
    assert.ok(rounded, `dead at the server, and nobody ended it behind our back: ${what}`);
  }

  /** A lease that was ended behind the client's back is in use until it is told, or asks, or the TTL is over. */
  #unnoticed(lease: KnownLease, end: End, renewable: boolean, what: string): void {
    const { clock, witness, schedule, disturbances, lastTrouble } = this.#life;
    assert.ok(!witness.toldOfEnd(lease, end.at), `handed out though the server told of its end: ${what}`);
    // Sleep is noticed by the wall clock, unless that may have been set back.
    const since = schedule.sleepy ? clock.elapsed - end.at : clock.monotonic() - end.monotonic;
    const undisturbed = disturbances.length === end.disturbances && lastTrouble < end.at;
    const life = Math.max(...(this.#life.ttls.get(lease.path) ?? []));
    // A renewal comes at 71 % of the TTL at the latest; a young token is looked up twice.
    const limit = undisturbed && renewable ? 0.71 * life + SECOND / 2 : life;
    assert.ok(since <= limit, `ended ${since} ms ago, and not noticed since: ${what}`);
  }

  /** A new lease comes in time, and where none can be had, the old one is kept as long as it can be. */
  expired(path: string): void {
    const { clock, witness, lastTrouble, lastHindrance } = this.#life;
    const known = witness.byUsername.get(this.#inUse.get(path) ?? '');
    if (!known || this.#lately(lastHindrance, path)) return;
    const age = ageOf(known, this.#life);
    // More than 60 a minute are not issued of one path, whatever its TTL.
    const asked = witness.exchanges.filter((one) => one.path === path);
    const issued = asked.filter(({ outcome }) => outcome !== 'failed');
    // Up to this very moment, it may be.
    const limited = (issued.at(-60)?.at ?? -Infinity) >= clock.elapsed - 60 * SECOND;
    const had = this.#lately(lastTrouble, path) || limited;
    assert.ok(had, `${path} was let expire after ${age} ms, though another could be had`);
    // One request for a path at a time: the new one may take longer than the old one has.
    const kept = limited || asked.at(-1)?.outcome === 'pending' || this.#cannotBeKept(known);
    assert.ok(kept, `${path} was let expire after ${age} ms, and could be renewed`);
  }

  /** What is held works, for as long as it can be renewed. */
  #held(): void {
    const { vault, witness, consumers, ended, lastHindrance } = this.#life;
    for (const { username, password } of consumers.holds) {
      if (this.#lost.has(username) || vault.isValid(username, password)) continue;
      this.#lost.add(username);
      const known = witness.byUsername.get(username);
      if (!known || ended.has(known.id) || this.#lately(lastHindrance, known.path)) continue;
      assert.ok(
        this.#cannotBeKept(known),
        `${known.path} is held, and was let go after ${ageOf(known, this.#life)} ms`,
      );
    }
  }

  /** So that it may matter yet. */
  #lately(moment: number, path: string): boolean {
    const { clock, ttls } = this.#life;
    return clock.elapsed - moment <= Math.max(...[path, 'login'].flatMap((of) => ttls.get(of) ?? []));
  }

  /** Though nothing is in the way, no renewal lets it live on. */
  #cannotBeKept(known: KnownLease): boolean {
    const { clock, witness, schedule, ttls, maxTtls } = this.#life;
    if (schedule.login.uses > 0 || schedule.login.type === 'batch') return true;
    if (isAtMaxTtl(known, this.#life)) return true;
    const tokens = [...witness.tokens];
    const made = tokens.findIndex(([token]) => token === known.token);
    if (made === tokens.length - 1) return false;
    // A token that another took over from is not renewed any more; one whose TTL was changed may do so early.
    const oldToken = clock.elapsed - (tokens[made]?.[1].at ?? 0) >= shortest(maxTtls.get('login')) - SECOND;
    return oldToken || (ttls.get('login') ?? []).length > 1;
  }

  /** Of each path one lease is in use; all others are held, or on their way out. */
  #overlap(): void {
    const { witness, clock, schedule, calm, consumers } = this.#life;
    const { elapsed } = clock;
    // In whole seconds, to which the server rounds.
    const grace = Math.max(SECOND, schedule.grace) + SECOND;
    for (const { id, left, known } of this.#notInUse()) {
      const deadline = elapsed + left;
      const leaving = this.#leaving.get(id) ?? { since: elapsed, deadline };
      this.#leaving.set(id, leaving);
      const renewal = witness.exchanges.findLast(({ leaseId }) => leaseId === id);
      const since = `${known.path}: nobody uses it for ${elapsed - leaving.since} ms`;
      const latest = Math.max(leaving.deadline, leaving.since + grace);
      // Where an answer was lost, the server is asked again for the shortest time there is.
      const again = renewal?.retires && left <= SECOND;
      assert.ok(again || deadline <= latest, `${since}, but its life was made longer`);
      const end = this.#freeSince(known) + grace;
      assert.ok(!calm || consumers.closing || elapsed <= end, `${since}, and it has ${left} ms left`);
    }
  }

  #notInUse(): { id: string; left: number; known: KnownLease }[] {
    const { vault, witness } = this.#life;
    return vault.liveLeases.flatMap(({ id, left }) => {
      const known = witness.leases.get(id);
      // Of those whose answer was lost or is on its way nobody can know.
      if (known && !this.#isInUse(known)) return { id, left, known };
      this.#leaving.delete(id);
      return [];
    });
  }

  #isInUse({ path, number, username }: KnownLease): boolean {
    const { witness, consumers } = this.#life;
    if (consumers.holds.some((hold) => hold.username === username)) return true;
    const latest = witness.byUsername.get(this.#inUse.get(path) ?? '');
    const superseded = latest !== undefined && latest.number > number;
    const released = number < (consumers.released.get(path) ?? 0);
    return !superseded && !released;
  }

  /** Since when nothing keeps a lease alive that is not in use. */
  #freeSince(known: KnownLease): number {
    const { vault, witness, schedule } = this.#life;
    const since = (lease: string) => this.#leaving.get(lease)?.since ?? Infinity;
    // Past a max TTL that was lowered meanwhile no renewal ends it any more, but only its TTL.
    if (isAtMaxTtl(known, this.#life)) return Infinity;
    if (schedule.login.uses === 0) return since(known.id);
    // The last use of a token is not spent on ending one lease, but on ending all of them, once none is in use.
    const tokens = [...witness.tokens];
    const [, next] = tokens[tokens.findIndex(([one]) => one === known.token) + 1] ?? [];
    const replaced = next?.at ?? Infinity;
    if (!schedule.revoke) return Infinity;
    const siblings = vault.liveLeases.filter((one) => witness.leases.get(one.id)?.token === known.token);
    return Math.max(replaced, ...siblings.map((one) => since(one.id)));
  }
}

function ageOf({ number }: KnownLease, { clock, witness }: Life): number {
  return clock.elapsed - (witness.exchanges[number]?.at ?? 0);
}

/** Or past it, where it was lowered: no renewal is granted any more, not even to end it. */
export function isAtMaxTtl(known: KnownLease, life: Life): boolean {
  return ageOf(known, life) >= shortest(life.maxTtls.get(known.path)) - SECOND;
}

function shortest(times: readonly number[] = []): number {
  return Math.min(...times);
}
