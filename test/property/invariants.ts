import assert from 'node:assert/strict';
import { SECOND, type Snapshot, type User } from './consumers.js';
import type { End, Life } from './life.js';
import type { KnownLease } from './witness.js';

/** The conditions that must hold whenever all pending work has settled. */
export class Invariants {
  readonly #life: Life;
  /** The latest published user of each path. */
  readonly #inUse = new Map<string, string>();
  /** Unused leases: the time since when, and the deadline at that time. */
  readonly #leaving = new Map<string, { since: number; deadline: number }>();

  /** Held users that have stopped working. */
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
      // current() without a lease has a side effect, which only some runs are to have.
      if (!has && !schedule.asks) continue;
      const snapshot = leases.current<User>(path);
      assert.equal(snapshot !== undefined, has, `${path} is ${state}, but current() says otherwise`);
      if (snapshot) this.handedOut(snapshot, 'current');
      assert.ok(next.at || next.action === 'none', `${path}: nothing will happen`);
    }
    this.#held();
    this.#overlap();
    assert.deepEqual(witness.atOnce, [], 'the same request was sent twice at the same time');
    // One timer of the scheduler, and one for each waiting request (two if the answer is late) and caller of get.
    const most = 1 + 2 * witness.inFlight + consumers.waiting + 2;
    assert.ok(clock.pending <= most, `${clock.pending} timers are pending, ${most} are explained`);
  }

  /** Published credentials work at the server, unless the client could not know of their end. */
  handedOut({ data, lease }: Snapshot, how: string): void {
    const { clock, vault, witness, ended, setBack } = this.#life;
    const { username, password } = data.reveal();
    const left = lease.validUntil.getTime() - clock.wall();
    const what = `${how}: ${lease.path} serial ${lease.serial}, ${left} ms left by its own account`;
    assert.ok(left > 0, `published after its deadline: ${what}`);
    this.#inUse.set(lease.path, username);
    if (vault.isValid(username, password)) return;
    const known = witness.byUsername.get(username);
    assert.ok(known, `never issued: ${what}`);
    const end = ended.get(known.id);
    if (end) return this.#unnoticed(known, end, lease.renewable, what);
    // The server counts in whole seconds: a renewal near the max TTL may cut off part of the last one, which the client
    // does not learn if the answer is lost. A wall clock that was set back makes `left` look longer by as much.
    const rounded = witness.renewalIsOpen(known) && left - setBack <= SECOND;
    assert.ok(rounded, `invalid at the server, though no operator ended it: ${what}`);
  }

  /** A lease that an operator ended stays in use until the server reports its end, or its TTL has passed. */
  #unnoticed(lease: KnownLease, end: End, renewable: boolean, what: string): void {
    const { clock, witness, schedule, disturbances, lastTrouble } = this.#life;
    assert.ok(
      !witness.reportedEnd(lease, end.at),
      `published though the server had reported its end: ${what}`,
    );
    // The wall clock shows a suspension, unless it may have been set back.
    const since = schedule.sleepy ? clock.elapsed - end.at : clock.monotonic() - end.monotonic;
    const undisturbed = disturbances.length === end.disturbances && lastTrouble < end.at;
    const life = Math.max(...(this.#life.ttls.get(lease.path) ?? []));
    // A renewal comes at 71 % of the TTL at the latest; a young token is looked up twice.
    const limit = undisturbed && renewable ? 0.71 * life + SECOND / 2 : life;
    assert.ok(since <= limit, `ended ${since} ms ago, and not noticed since: ${what}`);
  }

  /** A lease expires only if no new one could be issued, and if it could not be renewed any longer. */
  expired(path: string): void {
    const { clock, witness, lastTrouble, lastHindrance } = this.#life;
    const known = witness.byUsername.get(this.#inUse.get(path) ?? '');
    if (!known || this.#lately(lastHindrance, path)) return;
    const age = ageOf(known, this.#life);
    // The client issues at most 60 leases a minute of one path, for any TTL.
    const asked = witness.exchanges.filter((one) => one.path === path);
    const issued = asked.filter(({ outcome }) => outcome !== 'failed');
    // Includes this very moment.
    const limited = (issued.at(-60)?.at ?? -Infinity) >= clock.elapsed - 60 * SECOND;
    const had = this.#lately(lastTrouble, path) || limited;
    assert.ok(had, `${path} expired after ${age} ms, though a new lease could be issued`);
    // One request for a path at a time: the issue of the new lease may outlast the old one.
    const kept = limited || asked.at(-1)?.outcome === 'pending' || this.#cannotBeKept(known);
    assert.ok(kept, `${path} expired after ${age} ms, though it could be renewed`);
  }

  /** Held credentials work for as long as their lease can be renewed. */
  #held(): void {
    const { vault, witness, consumers, ended, lastHindrance } = this.#life;
    for (const { username, password } of consumers.holds) {
      if (this.#lost.has(username) || vault.isValid(username, password)) continue;
      this.#lost.add(username);
      const known = witness.byUsername.get(username);
      if (!known || ended.has(known.id) || this.#lately(lastHindrance, known.path)) continue;
      assert.ok(
        this.#cannotBeKept(known),
        `${known.path} is held, and ended after ${ageOf(known, this.#life)} ms`,
      );
    }
  }

  /** Whether a moment is recent enough to have an effect still. */
  #lately(moment: number, path: string): boolean {
    const { clock, ttls } = this.#life;
    return clock.elapsed - moment <= Math.max(...[path, 'login'].flatMap((of) => ttls.get(of) ?? []));
  }

  /** Whether the lease cannot be renewed, even without a fault. */
  #cannotBeKept(known: KnownLease): boolean {
    const { clock, witness, schedule, ttls, maxTtls } = this.#life;
    if (schedule.login.uses > 0 || schedule.login.type === 'batch') return true;
    if (isAtMaxTtl(known, this.#life)) return true;
    const tokens = [...witness.tokens];
    const made = tokens.findIndex(([token]) => token === known.token);
    if (made === tokens.length - 1) return false;
    // A superseded token is not renewed any more; a token whose TTL was changed may be superseded early.
    const oldToken = clock.elapsed - (tokens[made]?.[1].at ?? 0) >= shortest(maxTtls.get('login')) - SECOND;
    return oldToken || (ttls.get('login') ?? []).length > 1;
  }

  /** Each path has one lease in use; all others are held, or are being ended. */
  #overlap(): void {
    const { witness, clock, schedule, calm, consumers } = this.#life;
    const { elapsed } = clock;
    // The server rounds to whole seconds.
    const grace = Math.max(SECOND, schedule.grace) + SECOND;
    for (const { id, left, known } of this.#notInUse()) {
      const deadline = elapsed + left;
      const leaving = this.#leaving.get(id) ?? { since: elapsed, deadline };
      this.#leaving.set(id, leaving);
      const renewal = witness.exchanges.findLast(({ leaseId }) => leaseId === id);
      const since = `${known.path}: unused for ${elapsed - leaving.since} ms`;
      const latest = Math.max(leaving.deadline, leaving.since + grace);
      // After a lost answer, the client repeats the renewal with the shortest increment.
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
      // Leases whose answer was lost or has not arrived are unknown.
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

  /** The time since when nothing keeps an unused lease alive. */
  #freeSince(known: KnownLease): number {
    const { vault, witness, schedule } = this.#life;
    const since = (lease: string) => this.#leaving.get(lease)?.since ?? Infinity;
    // Past a lowered max TTL no renewal can end the lease; only its TTL does.
    if (isAtMaxTtl(known, this.#life)) return Infinity;
    if (schedule.login.uses === 0) return since(known.id);
    // The last use of a token is kept for its revocation, which ends all leases once none is in use.
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

/** Whether a lease is at its max TTL, or past a lowered one: the server grants no renewal, not even to end it. */
export function isAtMaxTtl(known: KnownLease, life: Life): boolean {
  return ageOf(known, life) >= shortest(life.maxTtls.get(known.path)) - SECOND;
}

function shortest(times: readonly number[] = []): number {
  return Math.min(...times);
}
