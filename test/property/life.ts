import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import { VaultError } from '../../lib/errors/vault-error.js';
import { appRole } from '../../lib/index.js';
import { resolveOptions } from '../../lib/config/resolved-options.js';
import { VaultConnection } from '../../lib/connection/vault-connection.js';
import { EventBus, type VaultEvent } from '../../lib/events/events.js';
import type { Credentials } from '../../lib/leases/lease.js';
import { SimulatedVault, VirtualClock } from '../../lib/testing/index.js';
import { MATCHES, type Schedule, type Step, type Trouble, type Which } from './schedule.js';
import { LIE, Witness } from './witness.js';

type User = { username: string; password: string };
type Snapshot = Credentials<User>;

const SECOND = 1_000;
const SHUTDOWN = 5 * SECOND;
/** Time after the end of all trouble in which everything works again: the longest back-off, and the issue limit. */
const RECOVERY = 150 * SECOND;

/** A virtual clock that has everything looked at each time that all has come to rest. */
export class WatchedClock extends VirtualClock {
  onRest: () => void = () => {};

  override async settle(): Promise<void> {
    await super.settle();
    this.onRest();
  }
}

/** Numbers that look random, the same ones for the same seed (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Subscription {
  path: string;
  keepTrying: boolean;
  values: Snapshot[];
  errors: unknown[];
  completions: number;
  released: boolean;
  unsubscribed: boolean;
  stop: () => void;
}

interface Hold {
  snapshot: Snapshot;
  letGo: () => void;
}

/** Runs one schedule, and throws where what must hold at every moment does not. */
export class LifeUnderTest {
  readonly schedule: Schedule;
  readonly clock = new WatchedClock();
  readonly vault: SimulatedVault;
  readonly witness: Witness;
  readonly connection: VaultConnection;
  readonly events: VaultEvent[] = [];
  readonly subscriptions: Subscription[] = [];
  readonly holds: Hold[] = [];
  readonly paths: string[];
  /** Nothing has gone wrong yet. */
  calm = true;
  /** When operators acted and clocks jumped: moments after which some more requests are right. */
  readonly disturbances: number[] = [];
  #lastTrouble = -Infinity;
  /** Leases that were ended behind the client's back. */
  readonly #ended = new Map<string, { at: number; asleep: number }>();
  /** Time in which the process could not do anything. */
  #asleep = 0;
  readonly #troubles = new Map<() => void, number>();
  /** Superseded or given up, and not held: since when, and the deadline they had then. */
  readonly #alone = new Map<string, { since: number; deadline: number }>();
  #gets = 0;
  #closing = false;
  #closed = false;
  readonly #failures: unknown[] = [];

  constructor(schedule: Schedule) {
    this.schedule = schedule;
    const { dialect, roles, login, revoke, grace, concurrency } = schedule;
    this.vault = new SimulatedVault({ clock: this.clock, dialect });
    this.paths = roles.map(({ ttl, maxTtl }, number) => {
      this.vault.databaseRole(`r${number}`, { defaultTtl: ttl, maxTtl });
      return `database/creds/r${number}`;
    });
    const { roleId, secretId } = this.vault.appRole('app', {
      tokenTtl: login.ttl,
      tokenMaxTtl: login.maxTtl,
      tokenPeriod: login.period,
      tokenNumUses: login.uses,
      tokenType: login.type,
    });
    const bus = new EventBus();
    bus.events$.subscribe((event) => this.events.push(event));
    this.witness = new Witness(this.vault.transport(), this.clock);
    this.connection = new VaultConnection(
      resolveOptions({
        address: 'http://vault.test',
        auth: appRole({ roleId, secretId: secretId() }),
        concurrency,
        renewal: { grace },
        shutdown: { revoke, timeout: SHUTDOWN },
      }),
      bus,
      this.clock,
      this.witness,
    );
    this.clock.onRest = () => this.#look();
  }

  async run(): Promise<void> {
    const { steps, healsBeforeClose } = this.schedule;
    await this.clock.until(this.connection.login());
    for (const step of steps) {
      await this.#do(step);
      // What has its answer has it now, before the next thing that happens.
      await this.clock.settle();
    }
    if (healsBeforeClose) await this.#recover();
    await this.#close(healsBeforeClose);
    this.#countRequests();
  }

  // ---------------------------------------------------------------- what happens

  async #do(step: Step): Promise<void> {
    const { clock, connection, vault, schedule } = this;
    switch (step.do) {
      case 'pass':
        return this.#pass(step.for);
      case 'trouble':
        this.#troubles.set(this.#make(step.trouble, step.which), clock.elapsed + step.for);
        this.#disturbed();
        return;
      case 'heal':
        return this.#heal();
      case 'revoke-leases':
        return this.#operate(() => vault.revokeLease(this.#path(step.path)));
      case 'revoke-lease': {
        const { liveLeases } = vault;
        const lease = liveLeases[step.index % Math.max(1, liveLeases.length)];
        return this.#operate(() => lease && vault.revokeLease(lease.id));
      }
      case 'revoke-token': {
        const used = vault.history.findLast(({ token }) => token !== undefined && token > 1);
        return this.#operate(() => used && vault.revokeToken(used.token as number));
      }
      case 'lose-tokens':
        return this.#operate(() => vault.revokeAllTokens());
      case 'step-wall':
        this.#disturbed();
        clock.stepWall(schedule.sleepy ? Math.abs(step.by) : step.by);
        return;
      case 'stall':
      case 'suspend':
        this.#disturbed();
        this.#asleep += step.for;
        // With steps back it cannot be known that time has passed while the monotonic clock stood still.
        await (schedule.sleepy && step.do === 'suspend' ? clock.suspend(step.for) : clock.stall(step.for));
        return this.#disturbed();
      case 'subscribe':
        return this.#subscribe(this.#path(step.path), step.keepTrying);
      case 'unsubscribe': {
        const subscription = this.subscriptions[step.index % Math.max(1, this.subscriptions.length)];
        if (!subscription) return;
        subscription.unsubscribed = true;
        return subscription.stop();
      }
      case 'get':
        return this.#get(this.#path(step.path));
      case 'hold': {
        const snapshot = connection.leases.current<User>(this.#path(step.path));
        if (snapshot) this.holds.push({ snapshot, letGo: snapshot.lease.hold() });
        return;
      }
      case 'let-go':
        this.holds.splice(step.index % Math.max(1, this.holds.length), 1)[0]?.letGo();
        return;
      case 'release': {
        const path = this.#path(step.path);
        for (const one of this.subscriptions) if (one.path === path) one.released = true;
        await clock.until(connection.leases.release(path));
        return;
      }
    }
  }

  /** Lets time pass, with a look just before each moment at which a credential is said to end. */
  async #pass(milliseconds: number): Promise<void> {
    const { clock } = this;
    const end = clock.monotonic() + milliseconds;
    while (clock.monotonic() < end) {
      const healing = Math.min(...this.#troubles.values()) - clock.elapsed;
      const ending = Math.min(
        ...this.connection.leases.status().map(({ state, validUntil }) => {
          const left = (validUntil?.getTime() ?? Infinity) - clock.wall() - 1;
          return state !== 'expired' && left > 0 ? left : Infinity;
        }),
      );
      await clock.advance(Math.max(1, Math.min(end - clock.monotonic(), healing, ending)));
      for (const [heal, until] of this.#troubles) if (clock.elapsed >= until) this.#end(heal);
    }
  }

  #make(trouble: Trouble, which: Which): () => void {
    const { vault } = this;
    const match = MATCHES[which];
    switch (trouble.kind) {
      case 'cut':
        return vault.cut({ match });
      case 'drop':
        return vault.dropResponse({ match });
      case 'delay':
        return vault.delay(trouble.milliseconds, { match }, { before: trouble.before });
      case 'answer': {
        const headers = { 'content-type': 'application/json', [LIE]: 'yes' };
        return vault.answer(trouble.status, trouble.body, { match }, headers);
      }
      case 'seal':
        vault.seal();
        return () => vault.unseal();
      case 'standby':
        vault.standby();
        return () => vault.standby(false);
      case 'database':
        vault.databaseDown();
        return () => vault.databaseDown(false);
    }
  }

  #end(heal: () => void): void {
    heal();
    this.#troubles.delete(heal);
    this.#lastTrouble = this.clock.elapsed;
  }

  #heal(): void {
    for (const heal of [...this.#troubles.keys()]) this.#end(heal);
  }

  #operate(act: () => unknown): void {
    this.#disturbed();
    const before = this.vault.liveLeases.map(({ id }) => id);
    act();
    const after = new Set(this.vault.liveLeases.map(({ id }) => id));
    for (const id of before) if (!after.has(id)) this.#ended.set(id, { at: this.clock.elapsed, asleep: this.#asleep });
  }

  #disturbed(): void {
    this.calm = false;
    this.disturbances.push(this.clock.elapsed);
  }

  #path(number: number): string {
    return this.paths[number % this.paths.length] as string;
  }

  #subscribe(path: string, keepTrying: boolean): void {
    const subscription: Subscription = {
      path,
      keepTrying,
      values: [],
      errors: [],
      completions: 0,
      released: false,
      unsubscribed: false,
      stop: () => inner.unsubscribe(),
    };
    this.subscriptions.push(subscription);
    const over = () =>
      assert.equal(subscription.errors.length + subscription.completions, 0, 'a stream ended twice');
    const inner = this.connection.leases.watch<User>(path, keepTrying).subscribe({
      next: (snapshot) => {
        this.#guarded(() => {
          over();
          assert.ok(!subscription.unsubscribed, 'a value after unsubscribe');
          subscription.values.push(snapshot);
          this.#handedOut(snapshot, 'published');
        });
      },
      error: (error: unknown) => {
        this.#guarded(() => {
          over();
          subscription.errors.push(error);
          assert.equal(subscription.values.length, 0, `a stream erred after a value: ${inspect(error)}`);
          assert.ok(!keepTrying, `a stream that keeps trying erred: ${inspect(error)}`);
          assert.ok(error instanceof VaultError, `a stream erred without a type: ${inspect(error)}`);
        });
      },
      complete: () => {
        this.#guarded(() => {
          over();
          subscription.completions++;
          assert.ok(subscription.released || this.#closing, 'a stream completed by itself');
        });
      },
    });
  }

  #get(path: string): void {
    this.#gets++;
    this.connection.leases.get<User>(path).then(
      (snapshot) => {
        this.#gets--;
        this.#guarded(() => this.#handedOut(snapshot, 'got'));
      },
      (error: unknown) => {
        this.#gets--;
        this.#guarded(() => assert.ok(error instanceof VaultError, `untyped: ${inspect(error)}`));
      },
    );
  }

  /** What rxjs or a promise would swallow fails the run at the next rest. */
  #guarded(check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#failures.push(error);
    }
  }

  // ---------------------------------------------------------------- what must hold

  /** At every rest. */
  #look(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
    if (this.#troubles.size > 0) this.#lastTrouble = this.clock.elapsed;
    if (this.#closed) return;
    const { leases } = this.connection;
    for (const { path, state, next } of leases.status()) {
      const holds = state === 'valid' || state === 'degraded';
      // Asking where there is nothing has an effect, which not every run is to have.
      if (!holds && !this.schedule.asks) continue;
      const snapshot = leases.current<User>(path);
      assert.equal(snapshot !== undefined, holds, `${path} is ${state}, but current() says otherwise`);
      if (snapshot) this.#handedOut(snapshot, 'current');
      assert.ok(next.at || next.action === 'none' || this.#closing, `${path}: nothing will happen`);
    }
    this.#overlap();
    // One of the scheduler, and one for each that waits: requests (two where the answer is late), callers of get.
    const most = 1 + 2 * this.witness.inFlight + this.#gets + 2;
    assert.ok(this.clock.pending <= most, `${this.clock.pending} timers are pending, ${most} are explained`);
  }

  #handedOut({ data, lease }: Snapshot, how: string): void {
    const { username, password } = data.reveal();
    const said = lease.validUntil.getTime() - this.clock.wall();
    assert.ok(said > 0, `${how}: ${lease.path} serial ${lease.serial} is over for ${-said} ms`);
    if (this.vault.isValid(username, password)) return;
    const { clock, witness } = this;
    const known = witness.byUsername.get(username);
    const left = lease.validUntil.getTime() - clock.wall();
    const about = `${how}: ${lease.path} serial ${lease.serial}, ${left} ms said to be left`;
    assert.ok(known, `never issued: ${about}`);
    const ended = this.#ended.get(known.id);
    if (!ended) {
      // The server counts in whole seconds: a renewal near the max TTL may take some of the last second away, which
      // is not known where its answer is lost, and not told where it answers 0.
      assert.ok(left <= SECOND, `dead at the server, and nobody ended it behind our back: ${about}`);
      return;
    }
    assert.ok(!witness.toldOfEnd(known, ended.at), `handed out though the server told of its end: ${about}`);
    const { ttl } = this.#role(lease.path);
    const since = clock.elapsed - ended.at - (this.#asleep - ended.asleep);
    const undisturbed = this.disturbances.at(-1) === ended.at && this.#lastTrouble < ended.at;
    const limit = (undisturbed && lease.renewable ? 0.72 : 1) * ttl * SECOND + 2 * SECOND;
    assert.ok(since <= limit, `ended ${since} ms ago, and not noticed since: ${about}`);
  }

  /** Of each path one lease is in use; all others are held, or on their way out. */
  #overlap(): void {
    const { vault, witness, connection, clock, schedule } = this;
    const { elapsed } = clock;
    const used = new Set(this.holds.map(({ snapshot }) => snapshot.data.reveal().username));
    const states = new Map(connection.leases.status().map(({ path, state }) => [path, state]));
    for (const path of this.paths) {
      if (states.get(path) !== 'valid' && states.get(path) !== 'degraded') continue;
      const current = connection.leases.current<User>(path);
      if (current) used.add(current.data.reveal().username);
    }
    for (const { id, path, left } of vault.liveLeases) {
      const known = witness.leases.get(id);
      // The answer was lost, or is on its way.
      if (!known) continue;
      if (used.has(known.username)) {
        this.#alone.delete(id);
        continue;
      }
      const deadline = elapsed + left;
      const alone = this.#alone.get(id);
      if (!alone) {
        this.#alone.set(id, { since: elapsed, deadline });
        continue;
      }
      const renewed = witness.exchanges.findLast(({ leaseId }) => leaseId === id);
      // A renewal was under way.
      if (renewed && !renewed.retires && renewed.at <= alone.since) alone.deadline = deadline;
      const grace = Math.max(SECOND, schedule.grace) + 2 * SECOND;
      assert.ok(
        deadline <= Math.max(alone.deadline, alone.since + grace),
        `${path}: nobody uses it for ${elapsed - alone.since} ms, but its life was made longer`,
      );
      const strict = this.calm && schedule.login.uses === 0 && !this.#closing && elapsed > alone.since + 100;
      assert.ok(
        !strict || elapsed <= alone.since + grace,
        `${path}: nobody uses it for ${elapsed - alone.since} ms, and it has ${left} ms left`,
      );
    }
  }

  /** All trouble ends: what was asked for is there, and stays. */
  async #recover(): Promise<void> {
    this.#heal();
    const { clock, connection } = this;
    const works = () =>
      connection.leases.status().every(({ state }) => state === 'valid') &&
      (connection.leases.status().length === 0 || connection.status.session.state === 'valid');
    const end = clock.elapsed + RECOVERY;
    while (!works() && clock.elapsed < end) await this.#pass(250);
    assert.ok(works(), `does not recover: ${inspect(connection.status, { depth: 5 })}`);
    for (const { path, errors, unsubscribed, released, values } of this.subscriptions) {
      if (errors.length > 0 || unsubscribed || released) continue;
      const current = connection.leases.current<User>(path);
      assert.ok(current, `${path} is watched, and there is nothing`);
      assert.equal(values.at(-1)?.data, current.data, `${path}: the stream is behind`);
    }
  }

  async #close(reachable: boolean): Promise<void> {
    const { clock, vault, witness, connection, schedule } = this;
    this.#closing = true;
    const began = clock.elapsed;
    const closing = connection.close();
    await clock.until(closing, 2 * SHUTDOWN);
    const took = clock.elapsed - began;
    assert.ok(took <= SHUTDOWN + 100, `closing took ${took} ms`);
    this.#closed = true;
    for (const { path, errors, completions, unsubscribed } of this.subscriptions) {
      const expected = errors.length > 0 || (unsubscribed && completions === 0) ? 0 : 1;
      assert.equal(completions, expected, `${path}: the stream completed ${completions} times`);
    }
    await clock.advance(0);
    assert.equal(this.#gets, 0, 'somebody still waits for credentials');
    assert.equal(clock.pending, 0, 'timers are pending after close');
    assert.equal(connection.status.session.state, 'closed');
    const asked = witness.exchanges.length;
    for (const path of this.paths) {
      assert.equal(connection.leases.current(path), undefined, 'something is handed out after close');
      const failure = await clock.until(
        connection.leases.get(path).then(
          () => undefined,
          (error: unknown) => error,
        ),
      );
      assert.ok(failure instanceof VaultError, `get() after close: ${inspect(failure)}`);
      assert.equal(failure.code, 'VAULT_CLOSED');
    }
    if (reachable) await this.#nothingLeft();
    await clock.advance(60 * SECOND);
    assert.equal(clock.pending, 0, 'timers are pending a minute after close');
    const longest = Math.max(...schedule.roles.map(({ maxTtl }) => maxTtl), schedule.login.maxTtl);
    await clock.advance(2 * longest * SECOND);
    assert.equal(witness.exchanges.length, asked, 'requests after close');
    this.#heal();
    assert.equal(vault.leaseCount, 0, 'leases outlive their max TTL');
    assert.equal(vault.tokenCount, 1, 'tokens outlive their max TTL');
  }

  /** The server could be asked to end everything, so it was. */
  async #nothingLeft(): Promise<void> {
    const { clock, vault, witness, schedule } = this;
    const raw = vault.transport();
    const alive: string[] = [];
    for (const token of witness.tokens.keys()) {
      const { statusCode } = await raw.send({
        method: 'GET',
        path: '/v1/auth/token/lookup-self',
        headers: { 'X-Vault-Token': token },
        timeout: 1_000,
      });
      if (statusCode === 200) alive.push(token);
    }
    if (schedule.revoke && schedule.login.type === 'service') {
      for (const token of alive) {
        const about = witness.exchanges.filter((one) => one.token === token);
        // A lie about its death, a revocation that came to nothing, or a renewal whose answer was lost, so that it was
        // over for us before it was, leaves it to its TTL; and so does a wall clock that was set ahead.
        const ahead = schedule.steps.some((step) => step.do === 'step-wall');
        const excused =
          ahead ||
          about.some(
            ({ path, status, lie, outcome }) =>
              (lie && status === 403) ||
              (/renew-self$/.test(path) && outcome === 'lost') ||
              (/revoke-self$/.test(path) && (lie || outcome !== 'answered' || status !== 204)),
          );
        assert.ok(excused, 'a token of ours lives on after close');
      }
      if (alive.length === 0 && this.calm) assert.equal(vault.leaseCount, 0, 'leases live on after close');
    } else if (this.calm && schedule.login.uses === 0) {
      await clock.advance(3 * SECOND);
      const left = vault.liveLeases.filter(({ left: one }) => one > Math.max(3 * SECOND, schedule.grace));
      assert.deepEqual(left, [], 'leases live on after close');
    }
  }

  /** After the end: how often the server was asked, over any stretch of time as long as a life. */
  #countRequests(): void {
    const { login, roles } = this.schedule;
    const groups = new Map<string, { times: number[]; life: number }>();
    const add = (key: string, life: number, at: number) => {
      const group = groups.get(key) ?? { times: [], life };
      groups.set(key, group);
      group.times.push(at);
    };
    const tokenLife = login.ttl * SECOND;
    const instants = new Map<number, number>();
    for (const { at, path, leaseId, token } of this.witness.exchanges) {
      instants.set(at, (instants.get(at) ?? 0) + 1);
      if (path === 'sys/leases/renew') {
        const known = this.witness.leases.get(leaseId);
        add(`renewals of ${leaseId}`, this.#role(known?.path ?? '').ttl * SECOND, at);
      } else if (this.paths.includes(path)) {
        add(`issues of ${path}`, Math.min(this.#role(path).ttl * SECOND, tokenLife), at);
      } else if (/login$/.test(path)) add('logins', tokenLife, at);
      else if (/renew-self$/.test(path)) add(`renewals of token ${token.slice(-5)}`, tokenLife, at);
      else if (/lookup-self$/.test(path)) add(`look-ups of token ${token.slice(-5)}`, tokenLife, at);
      else if (/revoke-self$/.test(path)) add(`revocations of token ${token.slice(-5)}`, Infinity, at);
      else assert.fail(`what is ${path}?`);
    }
    for (const [what, { times, life }] of groups) {
      const once = /^revocations/.test(what);
      let from = 0;
      for (let to = 0; to < times.length; to++) {
        const at = times[to] as number;
        while ((times[from] as number) < at - life) from++;
        const count = to - from + 1;
        // A stretch can hold the ever shorter steps before an end (halves of what is left), the doubling ones after it,
        // and then as many as the longest delay allows.
        const steps = 10 + 2 * Math.log2(life / SECOND) + life / (15 * SECOND);
        const most = once ? 1 : steps + 3 * this.#disturbedWithin(at - life, at);
        assert.ok(count <= most, `${count} ${what} in ${life} ms, at ${at}`);
      }
    }
    for (const [at, count] of instants) {
      const most = 3 * roles.length + this.holds.length + 8;
      assert.ok(count <= most, `${count} requests at one moment (${at})`);
    }
  }

  #disturbedWithin(from: number, to: number): number {
    return this.disturbances.filter((at) => at >= from - SECOND && at <= to).length;
  }

  #role(path: string): { ttl: number; maxTtl: number } {
    return this.schedule.roles[this.paths.indexOf(path)] ?? { ttl: 60, maxTtl: 60 };
  }
}

/** Runs a schedule with dice that always fall alike. */
export async function live(schedule: Schedule): Promise<LifeUnderTest> {
  const { random } = Math;
  Math.random = dice(schedule.seed);
  try {
    const life = new LifeUnderTest(schedule);
    await life.run();
    return life;
  } finally {
    Math.random = random;
  }
}
