import type { ApiRequest, ApiResponse } from '../client/api.types.js';
import type { RetryDeadline } from '../retry/backoff.js';
import { background } from '../clock/background.js';
import { RetryState } from '../retry/retry-state.js';
import { reportOnce } from '../events/once.js';
import type { Task } from '../clock/scheduler.js';
import { closed, fromCache, unexpected } from '../errors/common-errors.js';
import type { Login } from '../auth/auth-method.js';
import { hadNoEffect, isTransient, VaultError } from '../errors/vault-error.js';
import type { LoginReason } from '../events/events.js';
import type { SessionStatus } from '../events/status.js';
import { VaultToken } from './vault-token.js';
import { firstGrant } from '../lifetime/grant.js';
import { logIn } from './log-in.js';
import { renewToken } from './renew-token.js';
import type { SessionContext } from './session-context.js';
import { tokenRefused } from './session-errors.js';
import { type TokenStep } from './token-policy.js';
import { TokenSourceWatcher } from './token-source-watcher.js';
import { planToken } from './token-plan.js';
import { refusedToken } from './token-validator.js';
import { renewalDue } from '../lifetime/renewal-policy.js';

/** Milliseconds within which the death of a new token is no accident, where it comes again. */
const EARLY = 60_000;
const FIRST = { action: 'login', in: Infinity, reason: 'start' } as const;

/** What the token in use needs of the session it belongs to. */
export interface TokenHooks {
  send(token: VaultToken, request: ApiRequest): Promise<ApiResponse>;
  isDead(token: VaultToken): Promise<boolean>;
  /** A login has made another one. */
  made(token: VaultToken): void;
  /** It took the place of the one before. */
  superseded(previous: VaultToken): void;
  /** Which source of a secret a login reads now; nothing when it has answered. */
  reading(source: string | undefined): void;
}

/** The token in use: renewed while it can be, and replaced by a login, for as long as the connection is open. */
export class TokenLifecycle {
  readonly #context: SessionContext;
  readonly #hooks: TokenHooks;
  readonly #listeners = new Set<(token: VaultToken) => void>();
  readonly #tries: RetryState;
  readonly #source: TokenSourceWatcher;
  #token: VaultToken | undefined;
  #count = 0;
  #login: Promise<VaultToken> | undefined;
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
    this.#tries = new RetryState(context);
    this.#warn = reportOnce((message) => context.emit({ type: 'warning', message }));
    const { auth } = context.options;
    const version = auth.version && (() => auth.version?.() ?? Promise.resolve(''));
    this.#source = new TokenSourceWatcher(
      version,
      context,
      () => void this.login('source').catch(() => undefined),
    );
  }

  get token(): VaultToken | undefined {
    return this.#token;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Calls back for each token that takes over, and where the current one is dead or will not be extended. */
  onChange(listener: (token: VaultToken) => void): void {
    this.#listeners.add(listener);
  }

  /** Logs in, once however many ask. After a failure the next try waits its turn and repeats the error until then. */
  login(reason: LoginReason): Promise<VaultToken> {
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
  async check(token: VaultToken): Promise<void> {
    if (token !== this.#token || token.left(this.#context.clock) > 0) return;
    this.#wake();
    await this.#work;
  }

  /** A consumer needs so many milliseconds to let go of a lease: a new login comes so much earlier. */
  requireDrain(drain: number): void {
    const current = this.#token;
    if (!current || drain <= current.drain) return;
    current.drain = drain;
    this.#schedule();
  }

  /** The server has answered to it, so the logins before it are no trouble any more. */
  served(token: VaultToken): void {
    if (!this.#unproved || token !== this.#token) return;
    this.#unproved = false;
    this.#tries.clearError();
    this.#context.changed();
  }

  /** The server does not know it any more. */
  died(token: VaultToken): void {
    if (token.dead) return;
    token.dead = true;
    if (token !== this.#token) return;
    const early = this.#context.clock.monotonic() - token.madeAt < EARLY;
    this.#diedEarly = early ? this.#diedEarly + 1 : 0;
    // Logins whose tokens others do not know would follow one another at once, for ever.
    token.diedEarly = this.#diedEarly > 1;
    if (token.diedEarly) {
      this.#failed(tokenRefused(), 'login-failed');
      return;
    }
    this.#succeeded();
    background(() => this.#tell(token));
    this.#wake();
  }

  status(): SessionStatus {
    const current = this.#token;
    const { error, count } = this.#tries;
    const step = current ? this.#plan(current) : FIRST;
    return {
      state: this.#state(),
      sequence: current?.sequence ?? 0,
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

  async #doLogin(reason: LoginReason): Promise<VaultToken> {
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
      const previous = this.#token;
      const same = previous?.value.reveal() === login.token.reveal();
      // Each login makes another token; as two, the same one would be revoked when the second takes over.
      if (same && login.own) throw fromCache();
      if (previous && same) {
        // The source of a given token has nothing new: the same token, as long as it lasts.
        const { maxTtl } = previous.grant;
        previous.grant = { ...firstGrant(login.ttl, login.sentAt, random), maxTtl };
        previous.dead = false;
        this.#loginFailed = true;
        this.#tries.error = undefined;
        this.#tries.scheduleNext({ left: previous.left(clock), ttl: Infinity });
        this.#schedule();
        return previous;
      }
      this.#loginFailed = false;
      // Where tokens die early, logins are spaced out as if they had failed.
      this.#unproved = previous?.diedEarly === true;
      if (!this.#unproved) this.#succeeded();
      const token = new VaultToken(++this.#count, login, random);
      token.drain = previous?.drain ?? 0;
      this.#token = token;
      this.#hooks.made(token);
      if (!this.#closed) this.#takeOver(token, previous, reason);
      return token;
    } catch (error) {
      throw this.#failed(error, 'login-failed');
    }
  }

  /** Nobody will use what it made. */
  #end(login: Login): void {
    if (!login.own) return;
    const token = new VaultToken(++this.#count, login, this.#context.random);
    this.#hooks.made(token);
    this.#hooks.superseded(token);
  }

  #takeOver(token: VaultToken, previous: VaultToken | undefined, reason: LoginReason): void {
    const { clock, emit, changed } = this.#context;
    if (previous) previous.supersededAt = clock.monotonic();
    emit({ type: 'login', sequence: token.sequence, validUntil: token.validUntil(), reason });
    this.#schedule();
    this.#tell(token);
    if (previous) this.#hooks.superseded(previous);
    changed();
  }

  #tell(token: VaultToken): void {
    for (const listener of this.#listeners) listener(token);
  }

  #plan(current: VaultToken): TokenStep {
    const { clock, options } = this.#context;
    return planToken(current, { tries: this.#tries, loginFailed: this.#loginFailed }, clock, options.renewal);
  }

  /** What waiting cannot help is not tried in ever shorter steps as the end draws near. */
  #haste(current: VaultToken, error: VaultError): RetryDeadline | undefined {
    if (!isTransient(error)) return undefined;
    // One without uses is of no more use than one that is over, however long it lives.
    const left = current.lastUse ? 0 : current.left(this.#context.clock);
    // A login that was lost on its way may have cost a use of the secret_id.
    return { left, ttl: hadNoEffect(error) ? current.firstTtl : Infinity };
  }

  #schedule(): void {
    const { clock, scheduler } = this.#context;
    this.#task?.cancel();
    if (!this.#token || this.#closed) return;
    const { waiting, retryAt } = this.#tries;
    const at = waiting ? retryAt : clock.monotonic() + this.#plan(this.#token).in;
    this.#task = scheduler.at(at, () => this.#wake());
  }

  /** Belongs to no caller, though a caller may be the first to notice that something is due. */
  #wake(): void {
    background(() => this.#proceed());
  }

  #proceed(): void {
    const current = this.#token;
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

  async #renew(token: VaultToken): Promise<void> {
    const { ttl: previousTtl } = token.grant;
    try {
      const outcome = await renewToken(token, this.#context, this.#hooks, this.#warn);
      if (outcome === 'ended') this.died(token);
      if (outcome !== 'renewed') return;
    } catch (error) {
      // A newer one has taken over meanwhile: what became of this one is no news.
      if (token !== this.#token) return;
      if (!refusedToken(error)) return void this.#failed(error, 'token-renewal-failed');
      // Alive, but denied: no renewal will ever be granted, so a login has to do in its place.
      if (!(await this.#hooks.isDead(token))) token.renewable = false;
      return;
    }
    const { ttl, maxTtl } = token.grant;
    const capped = maxTtl !== 'far';
    // Where logins fail, a renewal of what is to be replaced is no end of the trouble.
    if (token === this.#token && !(this.#loginFailed && capped)) this.#succeeded();
    const validUntil = token.validUntil();
    const { sequence } = token;
    this.#context.emit({ type: 'token-renewed', sequence, validUntil, ttl, previousTtl, capped });
    // What is left may be too little for consumers, of which its leases tell.
    if (capped && token.drain > 0) this.#tell(token);
  }

  #succeeded(): void {
    if (this.#tries.error) this.#context.changed();
    this.#tries.succeed();
    this.#loginFailed = false;
  }

  #failed(cause: unknown, type: 'login-failed' | 'token-renewal-failed'): VaultError {
    const { clock, options, emit, changed } = this.#context;
    const current = this.#token;
    const error = cause instanceof VaultError ? cause : unexpected(cause, 'The login');
    const retryAt = this.#tries.fail(error, current && this.#haste(current, error));
    this.#loginFailed = type === 'login-failed';
    // A renewal that falls due meanwhile keeps the token alive, and is not waited with.
    const due = current ? renewalDue(current.view(clock), options.renewal) : 0;
    if (due > 0) this.#tries.retryAt = Math.min(this.#tries.retryAt, clock.monotonic() + due);
    this.#schedule();
    if (!this.#closed) {
      emit({ type, error, retryAt, sequence: current?.sequence ?? 0 });
    }
    changed();
    return error;
  }

  #state(): SessionStatus['state'] {
    if (this.#closed) return 'closed';
    if (!this.#token) return 'none';
    if (this.#token.left(this.#context.clock) <= 0) return 'expired';
    return this.#tries.error ? 'degraded' : 'valid';
  }
}
