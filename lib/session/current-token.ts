import type { ApiRequest, ApiResponse } from '../client/api-client.js';
import type { Haste } from '../clock/backoff.js';
import { background } from '../clock/background.js';
import { Tries } from '../client/tries.js';
import { tellOnce } from '../client/warnings.js';
import type { Task } from '../clock/scheduler.js';
import { closed, fromCache, unexpected } from '../errors/common-errors.js';
import type { Login } from '../auth/auth-method.js';
import { hadNoEffect, isTransient, VaultError } from '../errors/vault-error.js';
import type { LoginReason } from '../events/events.js';
import type { SessionStatus } from '../events/status.js';
import { Generation } from './generation.js';
import { firstGrant } from './grant.js';
import { logIn } from './log-in.js';
import { renewToken } from './renew-token.js';
import type { SessionContext } from './session-context.js';
import { tokenRefused } from './session-errors.js';
import { renewalDue, type TokenStep } from './session-policy.js';
import { SourceWatch } from './source-watch.js';
import { planToken } from './token-plan.js';
import { refusedToken } from './token-verdicts.js';

/** Milliseconds within which the death of a new token is no accident, where it comes again. */
const EARLY = 60_000;
const FIRST = { action: 'login', in: Infinity, reason: 'start' } as const;

/** What the token in use needs of the session it belongs to. */
export interface TokenHooks {
  send(generation: Generation, request: ApiRequest): Promise<ApiResponse>;
  isDead(generation: Generation): Promise<boolean>;
  /** A login has made another one. */
  made(generation: Generation): void;
  /** It took the place of the one before. */
  superseded(previous: Generation): void;
  /** Which source of a secret a login reads now; nothing when it has answered. */
  reading(source: string | undefined): void;
}

/** The token in use: renewed while it can be, and replaced by a login, for as long as the connection is open. */
export class CurrentToken {
  readonly #context: SessionContext;
  readonly #hooks: TokenHooks;
  readonly #listeners = new Set<(generation: Generation) => void>();
  readonly #tries: Tries;
  readonly #source: SourceWatch;
  #generation: Generation | undefined;
  #count = 0;
  #login: Promise<Generation> | undefined;
  #task: Task | undefined;
  /** What was tried last was a login, and brought no new token. */
  #loginFailed = false;
  /** Tokens that died early, one after the other. */
  #diedEarly = 0;
  /** The one in use comes after such, and has not served yet. */
  #unproved = false;
  #busy = false;
  /** What is done about it, or was last. */
  #work: Promise<void> | undefined;
  #closed = false;
  readonly #warn: (message: string) => void;

  constructor(context: SessionContext, hooks: TokenHooks) {
    this.#context = context;
    this.#hooks = hooks;
    this.#tries = new Tries(context);
    this.#warn = tellOnce((message) => context.emit({ type: 'warning', message }));
    const { auth } = context.options;
    const version = auth.version && (() => auth.version?.() ?? Promise.resolve(''));
    this.#source = new SourceWatch(version, context, () => void this.login('source').catch(() => undefined));
  }

  get generation(): Generation | undefined {
    return this.#generation;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Calls back for each generation that takes over, and where the current one is dead or will not be extended. */
  onChange(listener: (generation: Generation) => void): void {
    this.#listeners.add(listener);
  }

  /** Logs in, once however many ask. After a failure the next try waits its turn and repeats the error until then. */
  login(reason: LoginReason): Promise<Generation> {
    this.#login ??= background(() =>
      this.#doLogin(reason).finally(() => {
        this.#login = undefined;
      }),
    );
    return this.#login;
  }

  /** Resolves when no login is under way. */
  async settled(): Promise<void> {
    await this.#login?.catch(() => undefined);
  }

  /** Where it seems to be over, though nobody said so, the server is asked: once, however many wait. */
  async check(generation: Generation): Promise<void> {
    if (generation !== this.#generation || generation.left(this.#context.clock) > 0) return;
    this.#wake();
    await this.#work;
  }

  /** A consumer needs so many milliseconds to let go of a lease: a new login comes so much earlier. */
  needs(drain: number): void {
    const current = this.#generation;
    if (!current || drain <= current.drain) return;
    current.drain = drain;
    this.#schedule();
  }

  /** The server has answered to it, so the logins before it are no trouble any more. */
  served(generation: Generation): void {
    if (!this.#unproved || generation !== this.#generation) return;
    this.#unproved = false;
    this.#tries.calm();
    this.#context.changed();
  }

  /** The server does not know it any more. */
  died(generation: Generation): void {
    if (generation.dead) return;
    generation.dead = true;
    if (generation !== this.#generation) return;
    const early = this.#context.clock.monotonic() - generation.madeAt < EARLY;
    this.#diedEarly = early ? this.#diedEarly + 1 : 0;
    // Logins whose tokens others do not know would follow one another at once, for ever.
    generation.diedEarly = this.#diedEarly > 1;
    if (generation.diedEarly) {
      this.#failed(tokenRefused(), 'login-failed');
      return;
    }
    this.#succeeded();
    background(() => this.#tell(generation));
    this.#wake();
  }

  status(): SessionStatus {
    const current = this.#generation;
    const { error, count } = this.#tries;
    const step = current ? this.#plan(current) : FIRST;
    return {
      state: this.#state(),
      generation: current?.number ?? 0,
      ...(current && current.grant.ttl < Infinity && { validUntil: current.validUntil() }),
      next: this.#tries.next({ ...step, action: this.#closed ? 'none' : step.action }),
      attempt: count,
      ...(error && { error }),
    };
  }

  close(): void {
    this.#closed = true;
    this.#task?.cancel();
    this.#source.close();
  }

  async #doLogin(reason: LoginReason): Promise<Generation> {
    const { clock, random } = this.#context;
    // Nobody would end what it makes.
    if (this.#closed) throw closed();
    if (this.#tries.error && this.#tries.waiting) throw this.#tries.error;
    try {
      const login = await logIn(this.#context, this.#source, {
        late: (late) => this.#end(late),
        warn: this.#warn,
        reading: (source) => this.#hooks.reading(source),
      });
      const previous = this.#generation;
      const same = previous?.token.reveal() === login.token.reveal();
      // Each login makes another token; as two, the same one would be revoked when the second takes over.
      if (same && login.own) throw fromCache();
      if (previous && same) {
        // The source of a given token has nothing new: the same token, as long as it lasts.
        const { maxTtl } = previous.grant;
        previous.grant = { ...firstGrant(login.ttl, login.sentAt, random), maxTtl };
        previous.dead = false;
        this.#loginFailed = true;
        this.#tries.error = undefined;
        this.#tries.again({ left: previous.left(clock), ttl: Infinity });
        this.#schedule();
        return previous;
      }
      this.#loginFailed = false;
      // Where tokens die early, logins are spaced out as if they had failed.
      this.#unproved = previous?.diedEarly === true;
      if (!this.#unproved) this.#succeeded();
      const generation = new Generation(++this.#count, login, random);
      generation.drain = previous?.drain ?? 0;
      this.#generation = generation;
      this.#hooks.made(generation);
      if (!this.#closed) this.#takeOver(generation, previous, reason);
      return generation;
    } catch (error) {
      throw this.#failed(error, 'login-failed');
    }
  }

  /** Nobody will use what it made. */
  #end(login: Login): void {
    if (!login.own) return;
    const generation = new Generation(++this.#count, login, this.#context.random);
    this.#hooks.made(generation);
    this.#hooks.superseded(generation);
  }

  #takeOver(generation: Generation, previous: Generation | undefined, reason: LoginReason): void {
    const { clock, emit, changed } = this.#context;
    if (previous) previous.supersededAt = clock.monotonic();
    emit({ type: 'login', generation: generation.number, validUntil: generation.validUntil(), reason });
    this.#schedule();
    this.#tell(generation);
    if (previous) this.#hooks.superseded(previous);
    changed();
  }

  #tell(generation: Generation): void {
    for (const listener of this.#listeners) listener(generation);
  }

  #plan(current: Generation): TokenStep {
    const { clock, options } = this.#context;
    return planToken(current, { tries: this.#tries, loginFailed: this.#loginFailed }, clock, options.renewal);
  }

  /** What waiting cannot help is not tried in ever shorter steps as the end draws near. */
  #haste(current: Generation, error: VaultError): Haste | undefined {
    if (!isTransient(error)) return undefined;
    // One without uses is of no more use than one that is over, however long it lives.
    const left = current.spent ? 0 : current.left(this.#context.clock);
    // A login that was lost on its way may have cost a use of the secret_id.
    return { left, ttl: hadNoEffect(error) ? current.firstTtl : Infinity };
  }

  #schedule(): void {
    const { clock, scheduler } = this.#context;
    this.#task?.cancel();
    if (!this.#generation || this.#closed) return;
    const { waiting, retryAt } = this.#tries;
    const at = waiting ? retryAt : clock.monotonic() + this.#plan(this.#generation).in;
    this.#task = scheduler.at(at, () => this.#wake());
  }

  /** Belongs to no caller, though a caller may be the first to notice that something is due. */
  #wake(): void {
    background(() => this.#proceed());
  }

  #proceed(): void {
    const current = this.#generation;
    if (!current || this.#closed || this.#busy) return;
    const step = this.#plan(current);
    if (step.in > 0 || this.#tries.waiting) {
      // A login that failed was for nothing: the token was found alive meanwhile.
      if (step.action !== 'login' && !this.#tries.waiting) this.#succeeded();
      return this.#schedule();
    }
    this.#busy = true;
    const work = step.action === 'login' ? this.login(step.reason) : this.#renew(current);
    this.#work = work
      .then(
        () => undefined,
        () => undefined,
      )
      .finally(() => {
        this.#busy = false;
        this.#schedule();
        this.#context.changed();
      });
  }

  async #renew(generation: Generation): Promise<void> {
    const { ttl: previousTtl } = generation.grant;
    try {
      const outcome = await renewToken(generation, this.#context, this.#hooks, this.#warn);
      if (outcome === 'ended') this.died(generation);
      if (outcome !== 'renewed') return;
    } catch (error) {
      // A newer one has taken over meanwhile: what became of this one is no news.
      if (generation !== this.#generation) return;
      if (!refusedToken(error)) return void this.#failed(error, 'token-renewal-failed');
      // Alive, but denied: no renewal will ever be granted, so a login has to do in its place.
      if (!(await this.#hooks.isDead(generation))) generation.renewable = false;
      return;
    }
    const { ttl, maxTtl } = generation.grant;
    const capped = maxTtl !== 'far';
    // Where logins fail, a renewal of what is to be replaced is no end of the trouble.
    if (generation === this.#generation && !(this.#loginFailed && capped)) this.#succeeded();
    const validUntil = generation.validUntil();
    const { number } = generation;
    this.#context.emit({ type: 'token-renewed', generation: number, validUntil, ttl, previousTtl, capped });
    // What is left may be too little for consumers, of which its leases tell.
    if (capped && generation.drain > 0) this.#tell(generation);
  }

  #succeeded(): void {
    if (this.#tries.error) this.#context.changed();
    this.#tries.succeed();
    this.#loginFailed = false;
  }

  #failed(cause: unknown, type: 'login-failed' | 'token-renewal-failed'): VaultError {
    const { clock, options, emit, changed } = this.#context;
    const current = this.#generation;
    const error = cause instanceof VaultError ? cause : unexpected(cause, 'The login');
    const retryAt = this.#tries.fail(error, current && this.#haste(current, error));
    this.#loginFailed = type === 'login-failed';
    // A renewal that falls due meanwhile keeps the token alive, and is not waited with.
    const due = current ? renewalDue(current.view(clock), options.renewal) : 0;
    if (due > 0) this.#tries.retryAt = Math.min(this.#tries.retryAt, clock.monotonic() + due);
    this.#schedule();
    if (!this.#closed) {
      emit({ type, error, retryAt, generation: current?.number ?? 0 });
    }
    changed();
    return error;
  }

  #state(): SessionStatus['state'] {
    if (this.#closed) return 'closed';
    if (!this.#generation) return 'none';
    if (this.#generation.left(this.#context.clock) <= 0) return 'expired';
    return this.#tries.error ? 'degraded' : 'valid';
  }
}
