import type { ApiClient, ApiRequest, ApiResponse } from '../client/api-client.js';
import { sleep, type Clock } from '../clock/clock.js';
import { after, NEVER } from '../clock/deadline.js';
import type { Scheduler, Task } from '../clock/scheduler.js';
import { Tries } from '../client/tries.js';
import type { ResolvedOptions } from '../config/resolved-options.js';
import { closed, malformed, unexpected } from '../errors/common-errors.js';
import { isTransient, VaultError } from '../errors/vault-error.js';
import type { EventInit, LoginReason } from '../events/events.js';
import type { SessionStatus } from '../events/status.js';
import { Generation } from './generation.js';
import { isCapped, nextTokenStep, type TokenStep } from './session-policy.js';
import { TokenEnds } from './token-ends.js';

/** What a session needs from the outside. */
export interface SessionContext {
  api: ApiClient;
  options: ResolvedOptions;
  clock: Clock;
  scheduler: Scheduler;
  /** Aborted when shutdown begins. */
  signal: AbortSignal;
  emit: (event: EventInit) => void;
  changed: () => void;
  random: () => number;
}

/** How long before its end a renewal that keeps failing gives way to a new login, as a share of the TTL. */
const LOGIN_MARGIN = 0.2;
const MIN_RENEW_TIMEOUT = 500;
/** For so many milliseconds after a login, nodes that follow the leader may not know the token yet. */
const SETTLING = 2_000;
const SETTLING_STEP = 400;

const FIRST = { action: 'login', in: Infinity, reason: 'start' } as const;

/**
 * The token of a connection through time. Each login is a generation; superseded ones are kept alive until the
 * leases they made are over, then ended.
 */
export class Session {
  readonly #context: SessionContext;
  readonly #listeners = new Set<(generation: Generation) => void>();
  readonly #ends: TokenEnds;
  #current: Generation | undefined;
  #count = 0;
  #login: Promise<Generation> | undefined;
  #suspects = new Map<Generation, Promise<boolean>>();
  #task: Task | undefined;
  #step: TokenStep | undefined;
  readonly #tries: Tries;
  #busy = false;
  /** What is done about the current token, or was last. */
  #work: Promise<void> | undefined;
  #closed = false;

  constructor(context: SessionContext) {
    this.#context = context;
    this.#tries = new Tries(context);
    this.#ends = new TokenEnds({ ...context, revoke: context.options.shutdown.revoke });
  }

  get current(): Generation | undefined {
    return this.#current;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The server ends the token, and all it leased, when it is asked to: it is ours, and no batch token. */
  get revocable(): boolean {
    return this.#current === undefined || this.#current.revocable;
  }

  /** Calls back for each generation that takes over, and where the current one turns out to be dead. */
  onChange(listener: (generation: Generation) => void): void {
    this.#listeners.add(listener);
  }

  /**
   * A token that works now: the current one, or that of a login, one for all who wait. For a new lease, one that
   * is about to end will not do.
   */
  async acquire(forLease = false): Promise<Generation> {
    if (this.#closed) throw closed();
    const { clock, options } = this.#context;
    const current = this.#current;
    if (!current) return this.login('start');
    const step = nextTokenStep(current.view(clock), options.renewal);
    // The last use of a token takes every lease it made along, so it is not spent while there are any.
    const spent = current.spent && (forLease || current.leases.size > 0 || current.exhausted);
    const ending = step.action === 'login' && step.reason === 'max-ttl';
    if (!spent && (step.action !== 'login' || step.in > 0 || (ending && !forLease))) return current;
    return this.login(spent ? 'uses' : step.action === 'login' ? step.reason : 'max-ttl').catch(
      (error: unknown) => {
        // One that still lives serves on where a new login fails.
        if (!current.spent && current.left(clock) > 0) return current;
        throw error;
      },
    );
  }

  /**
   * Sends with a token that works, and once more with a new one where that one had died unnoticed. What `take`
   * makes of the answer counts as a lease of the token from before the request is sent, so that a token that is
   * superseded meanwhile is not ended under it.
   */
  async run<T, R>(
    request: ApiRequest,
    take: (response: ApiResponse<T>, generation: Generation) => R,
    forLease = false,
  ): Promise<R> {
    const { clock } = this.#context;
    for (let again = false; ;) {
      const generation = await this.acquire(forLease);
      const ticket = {};
      generation.leases.add(ticket);
      try {
        return take(await this.send<T>(generation, request), generation);
      } catch (error) {
        if (again || !refusedToken(error)) throw error;
        const young = clock.monotonic() - generation.madeAt < SETTLING;
        if (!(await this.isDead(generation)) && !young) throw error;
        again = true;
      } finally {
        this.released(generation, ticket);
      }
    }
  }

  /** Logs in, once however many ask. After a failure the next try waits its turn and repeats the error until then. */
  login(reason: LoginReason): Promise<Generation> {
    this.#login ??= this.#doLogin(reason).finally(() => {
      this.#login = undefined;
    });
    return this.#login;
  }

  /** Sends with the token of a generation. */
  async send<T>(generation: Generation, request: ApiRequest): Promise<ApiResponse<T>> {
    generation.spend();
    return this.#context.api.send<T>(request, generation.token);
  }

  /**
   * After a 403 that may mean a dead token: one look-up, however many ask, tells. Where it is dead all its leases
   * are, and a new login is on its way.
   */
  async isDead(generation: Generation): Promise<boolean> {
    if (generation.dead) return true;
    let suspect = this.#suspects.get(generation);
    if (!suspect) {
      suspect = this.#lookUp(generation).finally(() => this.#suspects.delete(generation));
      this.#suspects.set(generation, suspect);
    }
    return suspect;
  }

  /** Where the current token seems to be over, though nobody said so, the server is asked: once, however many wait. */
  async check(generation: Generation): Promise<void> {
    if (generation !== this.#current || generation.left(this.#context.clock) > 0) return;
    this.#wake();
    await this.#work;
  }

  /** Tells that a lease of a generation is over: a superseded token without leases is ended. */
  released(generation: Generation, lease: object): void {
    generation.leases.delete(lease);
    this.#endIfIdle(generation);
  }

  status(): SessionStatus {
    const current = this.#current;
    const { error, count } = this.#tries;
    const step = this.#step ?? FIRST;
    const left = current?.left(this.#context.clock) ?? 0;
    return {
      state: this.#closed ? 'closed' : stateOf(current, left, error !== undefined),
      generation: current?.number ?? 0,
      ...(current && current.deadline.wall < Infinity && { validUntil: new Date(current.deadline.wall) }),
      next: this.#tries.next({ ...step, action: this.#closed ? 'none' : step.action }),
      attempt: count,
      ...(error && { error }),
    };
  }

  /** Stops all activity; {@link revokeAll} is what still works. */
  close(): void {
    this.#closed = true;
    this.#task?.cancel();
  }

  /** Asks the server to end every token this process made; never throws. */
  async revokeAll(timeout: number): Promise<void> {
    await this.#login?.catch(() => undefined);
    await this.#ends.endAll(timeout);
  }

  async #doLogin(reason: LoginReason): Promise<Generation> {
    const { api, options, clock, emit, random, changed } = this.#context;
    if (this.#tries.error && this.#tries.waiting) throw this.#tries.error;
    try {
      const login = await options.auth.login({
        send: (request, token) => api.send(request, token),
        warn: (message) => emit({ type: 'warning', message }),
        clock,
      });
      const previous = this.#current;
      if (previous && !login.own && previous.token.reveal() === login.token.reveal()) {
        // The source of a given token has nothing new: the same token, as long as it lasts.
        previous.granting(
          login.ttl > 0 ? login.ttl * 1000 : Infinity,
          login.ttl > 0 ? after(login.sentAt, login.ttl * 1000) : NEVER,
          random,
        );
        previous.dead = false;
        this.#tries.error = undefined;
        this.#tries.again(previous.left(clock));
        this.#schedule(this.#tries.retryAt);
        return previous;
      }
      this.#tries.succeed();
      const generation = new Generation(++this.#count, login, random);
      this.#current = generation;
      this.#ends.add(generation);
      if (this.#closed) return generation;
      if (previous) previous.supersededAt = clock.monotonic();
      const validUntil = generation.validUntil();
      emit({ type: 'login', generation: generation.number, validUntil, reason });
      this.#schedule();
      for (const listener of this.#listeners) listener(generation);
      if (previous) this.#endIfIdle(previous);
      changed();
      return generation;
    } catch (error) {
      throw this.#failed(error, 'login-failed');
    }
  }

  async #lookUp(generation: Generation): Promise<boolean> {
    const { clock, signal } = this.#context;
    for (let looks = 1; ; looks++) {
      try {
        await this.send(generation, { method: 'GET', path: 'auth/token/lookup-self' });
        return false;
      } catch (error) {
        // A use-limited token that is refused has nothing left; no other answer proves death.
        if (!(error instanceof VaultError) || error.status !== 403) return false;
        if (looks > 1 || clock.monotonic() - generation.madeAt > SETTLING) break;
        const stopped = await sleep(clock, SETTLING_STEP, signal).then(
          () => false,
          () => true,
        );
        if (stopped) return false;
      }
    }
    generation.dead = true;
    if (generation === this.#current) {
      this.#tries.succeed();
      for (const listener of this.#listeners) listener(generation);
      this.#wake();
    }
    return true;
  }

  #schedule(at?: number): void {
    const { clock, options, scheduler } = this.#context;
    this.#task?.cancel();
    if (!this.#current || this.#closed) return;
    this.#step = nextTokenStep(this.#current.view(clock), options.renewal);
    this.#task = scheduler.at(at ?? clock.monotonic() + this.#step.in, () => this.#wake());
  }

  #wake(): void {
    const { clock, options } = this.#context;
    const current = this.#current;
    if (!current || this.#closed || this.#busy) return;
    const step = nextTokenStep(current.view(clock), options.renewal);
    this.#step = step;
    if (step.in > 0) return this.#schedule(this.#tries.waiting ? this.#tries.retryAt : undefined);
    if (this.#tries.error && this.#tries.waiting) return this.#schedule(this.#tries.retryAt);
    this.#busy = true;
    const left = current.left(clock);
    // A timer that came late, or a clock that was set: whether it still lives is asked, once, and not assumed.
    const surprised =
      left <= 0 && !current.dead && current.renewable && !current.capped && this.#tries.count === 0;
    const lateRenewal = this.#tries.count > 0 && left < current.granted * LOGIN_MARGIN;
    const work =
      surprised || (step.action === 'renew' && !lateRenewal)
        ? this.#renew(current, left)
        : this.login(step.action === 'login' ? step.reason : 'renewal-failing');
    this.#work = work
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        this.#busy = false;
        this.#schedule(this.#tries.waiting ? this.#tries.retryAt : undefined);
        this.#context.changed();
      });
  }

  async #renew(generation: Generation, left: number): Promise<void> {
    const { emit, random } = this.#context;
    try {
      const { auth, sentAt, warnings } = await this.send<unknown>(generation, {
        method: 'POST',
        path: 'auth/token/renew-self',
        body: {},
        timeout: Math.max(left / 2, MIN_RENEW_TIMEOUT),
      });
      if (typeof auth?.lease_duration !== 'number') throw malformed('auth/token/renew-self');
      if (generation === this.#current) this.#tries.succeed();
      if (auth.lease_duration <= 0) {
        // Less than a second was left, and that rounds to nothing: what is known of its end still holds.
        generation.capped = true;
        return;
      }
      const granted = auth.lease_duration * 1000;
      generation.capped = isCapped(generation.granted, granted, warnings);
      generation.renewable = auth.renewable;
      generation.granting(granted, after(sentAt, granted), random);
      const validUntil = generation.validUntil();
      emit({ type: 'token-renewed', generation: generation.number, validUntil, capped: generation.capped });
    } catch (error) {
      // A newer one has taken over meanwhile: what became of this one is no news.
      if (generation !== this.#current) return;
      const failure = error as VaultError;
      if (refusedToken(error)) {
        // Alive, but denied: no renewal will ever be granted, so a login has to do in its place.
        if (!(await this.isDead(generation))) generation.renewable = false;
      } else if (failure.code === 'VAULT_LEASE_NOT_RENEWABLE' || failure.code === 'VAULT_PERMISSION_DENIED') {
        generation.renewable = false;
      } else if (failure.code === 'VAULT_LEASE_AT_MAX_TTL') {
        generation.capped = true;
      } else {
        this.#failed(error, 'token-renewal-failed');
      }
    }
  }

  #endIfIdle(generation: Generation): void {
    if (generation === this.#current || generation.leases.size > 0 || this.#closed) return;
    void this.#ends.end(generation);
  }

  #failed(cause: unknown, type: 'login-failed' | 'token-renewal-failed'): VaultError {
    const { clock, emit, changed } = this.#context;
    const error = cause instanceof VaultError ? cause : unexpected(cause);
    // What waiting cannot help is not tried in ever shorter steps as the end draws near.
    const left = this.#current && isTransient(error) ? this.#current.left(clock) : Infinity;
    const retryAt = this.#tries.fail(error, left);
    if (!this.#closed) {
      if (type === 'login-failed') emit({ type, error, retryAt });
      else emit({ type, error, retryAt, generation: this.#current?.number ?? 0 });
    }
    changed();
    return error;
  }
}

/** A 403 that a dead token would explain. */
export function refusedToken(error: unknown): boolean {
  return error instanceof VaultError && error.code === 'VAULT_TOKEN_INVALID';
}

function stateOf(current: Generation | undefined, left: number, failing: boolean): SessionStatus['state'] {
  if (!current) return 'none';
  if (left <= 0) return 'expired';
  return failing ? 'degraded' : 'valid';
}
