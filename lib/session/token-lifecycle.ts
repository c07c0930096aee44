import type { CheckedLogin } from '../auth/checked-login.js';
import { RefusedLogins } from '../auth/refused-logins.js';
import type { ApiRequest, ApiResponse } from '../client/api.types.js';
import { background } from '../clock/background.js';
import { closed, fromCache, unexpected } from '../errors/common-errors.js';
import { hadNoEffect, isTransient, VaultError } from '../errors/vault-error.js';
import type { VaultAskMessage, VaultTaskMessage } from '../events/channels.js';
import type { LoginReason } from '../events/events.js';
import type { WarningCode } from '../events/log-lines.js';
import { reportOnce } from '../events/once.js';
import type { SessionStatus } from '../events/status.js';
import { firstGrant, otherWarnings } from '../lifetime/grant.js';
import { Lifecycle, type Attempt, type Subject } from '../lifetime/lifecycle.js';
import { renewalDue } from '../lifetime/renewal-policy.js';
import type { RetryDeadline } from '../retry/backoff.js';
import { logIn } from './log-in.js';
import { renewToken } from './renew-token.js';
import type { SessionContext } from './session-context.js';
import { tokenRefused } from './session-errors.js';
import { planToken, type TokenStep } from './token-policy.js';
import { TokenSourceWatcher } from './token-source-watcher.js';
import { refusedToken } from './token-validator.js';
import { VaultToken } from './vault-token.js';

/** Milliseconds. A token rejected within this time of its login counts as rejected on arrival if it is the second in a row. */
const EARLY = 60_000;
const FIRST = { action: 'login', in: Infinity, reason: 'start' } as const;

/** The session's part in the life of its token. */
export interface TokenHooks {
  send(token: VaultToken, request: ApiRequest): Promise<ApiResponse>;
  isDead(token: VaultToken): Promise<boolean>;
  /** A login has made another one. */
  made(token: VaultToken): void;
  /** A login made one that came too late, or that its method did not return. */
  unused(token: VaultToken): void;
  /** It took the place of the one before. */
  superseded(previous: VaultToken): void;
  /** Which source of a secret a login reads now; nothing when it has answered. */
  reading(source: string | undefined): void;
}

/** The token in use: renewed while it can be, and replaced by a login, for as long as the connection is open. */
export class TokenLifecycle implements Subject<TokenStep> {
  readonly #context: SessionContext;
  readonly #hooks: TokenHooks;
  readonly #listeners = new Set<(token: VaultToken) => void>();
  readonly #life: Lifecycle<TokenStep>;
  readonly #source: TokenSourceWatcher;
  readonly #warn: (message: string, code: WarningCode) => void;
  readonly #notice: (message: string) => void;
  readonly #refused: RefusedLogins;
  #token: VaultToken | undefined;
  #count = 0;
  #login: Promise<VaultToken> | undefined;
  /** Ends the login under way. */
  #ending: AbortController | undefined;
  /** Consecutive tokens that were rejected soon after their login. */
  #earlyRejections = 0;
  /** The token follows such a one, and no request has succeeded with it yet. */
  #awaitingFirstUse = false;

  constructor(context: SessionContext, hooks: TokenHooks) {
    this.#context = context;
    this.#hooks = hooks;
    this.#life = new Lifecycle(context, this);
    this.#refused = new RefusedLogins(context.clock);
    this.#warn = reportOnce((message, code) => context.emit({ type: 'warning', code, message }));
    this.#notice = reportOnce((message) => context.emit({ type: 'notice', message }));
    this.#source = new TokenSourceWatcher(
      context,
      () => void this.login('source').catch(() => undefined),
      this.#warn,
    );
  }

  get token(): VaultToken | undefined {
    return this.#token;
  }

  get closed(): boolean {
    return this.#life.phase === 'closed';
  }

  /** Whether several agents attach tokens of their own: see {@link TokenSourceWatcher.severalAgents}. */
  get severalAgents(): boolean {
    return this.#source.severalAgents;
  }

  /** Calls back for each token that takes over, and where the current one is dead or will not be extended. */
  onChange(listener: (token: VaultToken) => void): void {
    this.#listeners.add(listener);
  }

  /** Logs in, once however many ask. After a failure the next try waits its turn and repeats the error until then. */
  login(reason: LoginReason, task?: VaultTaskMessage): Promise<VaultToken> {
    if (this.#login) return this.#login;
    const asked = this.#context.diagnostics.ask(task);
    this.#login = background(() =>
      this.#doLogin(reason, asked).finally(() => {
        this.#login = undefined;
      }),
    );
    return this.#login;
  }

  /** Resolves when no login is under way. */
  async settled(): Promise<void> {
    await this.#login?.catch(() => undefined);
  }

  /** If the token looks expired by the local clocks only, asks the server; one request for all callers. */
  async check(token: VaultToken): Promise<void> {
    if (token === this.#token && token.left(this.#context.clock) <= 0) await this.#life.attempt();
  }

  /** Extends the time, in milliseconds, that consumers need to drain: the next login comes that much earlier. */
  requireDrain(drain: number): void {
    const current = this.#token;
    if (current?.requireDrain(drain)) this.#life.reschedule();
  }

  /** A request succeeded with the token, so rejected logins before it no longer delay retries. */
  onUsed(token: VaultToken): void {
    if (!this.#awaitingFirstUse || token !== this.#token) return;
    this.#awaitingFirstUse = false;
    this.#life.retry.clearError();
    this.#context.changed();
  }

  /** The server has rejected the token. */
  onRejected(token: VaultToken): void {
    if (token.ended) return;
    if (token !== this.#token) return this.#life.adopt(token, { kind: 'ended' });
    const early = this.#context.clock.monotonic() - token.madeAt < EARLY;
    this.#earlyRejections = early ? this.#earlyRejections + 1 : 0;
    // Where nodes do not share tokens, each rejected token would otherwise trigger the next login at once, without end.
    const refused = this.#earlyRejections > 1;
    this.#life.adopt(token, { kind: refused ? 'refused' : 'ended' });
    if (refused) {
      this.#failed('replacement', tokenRefused());
      return;
    }
    this.#life.succeed();
    background(() => this.#notify(token));
    this.#life.wake();
  }

  status(): SessionStatus {
    const current = this.#token;
    const { error, count } = this.#life.retry;
    const step = this.plan() ?? FIRST;
    return {
      state: this.#state(),
      sequence: current?.sequence ?? 0,
      ...(current && current.grant.ttl < Infinity && endOf(current)),
      next: this.#life.retry.next({ ...step, action: this.closed ? 'none' : step.action }),
      attempt: count,
      ...(error && { error }),
    };
  }

  close(): void {
    this.#life.signal('closed');
    this.#ending?.abort();
    this.#source.close();
  }

  observe(): void {
    const current = this.#token;
    if (!current) return;
    if (current.left(this.#context.clock) > 0) this.#life.signal('renewed');
    else this.#life.signal(this.plan()?.action === 'renew' ? 'overdue' : 'ended');
  }

  /** The next step, also after failures and late timers. */
  plan(): TokenStep | undefined {
    const { clock, options } = this.#context;
    const { retry, failed } = this.#life;
    const attempts = { retry, loginFailed: failed === 'replacement' };
    return this.#token && planToken(this.#token.view(clock), attempts, options.renewal);
  }

  onStatusChange(): void {
    this.#context.changed();
  }

  /** A failed login no longer matters, because the token was found alive since then. */
  onNotDue({ action }: TokenStep): void {
    if (action !== 'login' && !this.#awaitingFirstUse) this.#life.succeed();
  }

  run(step: TokenStep): Promise<void> {
    const work = step.action === 'login' ? this.login(step.reason) : this.#renew(this.#token as VaultToken);
    return work.then(
      () => undefined,
      () => undefined,
    );
  }

  async #doLogin(reason: LoginReason, asked: VaultAskMessage | undefined): Promise<VaultToken> {
    const { clock, random, diagnostics } = this.#context;
    // After the close nothing would revoke its token.
    if (this.closed) throw closed();
    const { retry } = this.#life;
    // Another token at the source is a reason to try at once.
    if (retry.error && retry.waiting && reason !== 'source') throw retry.error;
    const task = diagnostics.task({ kind: 'login', reason, asked });
    try {
      this.#ending = new AbortController();
      const { login, version } = await logIn(this.#context, this.#source, {
        ending: this.#ending,
        refused: this.#refused,
        onUnused: (late) => this.#revoke(late),
        warn: this.#warn,
        notice: this.#notice,
        reading: (source) => this.#hooks.reading(source),
        task: task?.message,
      });
      const previous = this.#token;
      const same = this.#source.granted(version, login, previous);
      // Each login makes another token; as two, the same one would be revoked when the second takes over.
      if (same && login.own) throw fromCache();
      if (previous && same) {
        // The source of a given token has nothing new: the same token, as long as it lasts.
        const grant = firstGrant({ ...login, seconds: login.ttl }, random);
        this.#life.adopt(previous, { kind: 'read-again', grant });
        this.#life.postpone('replacement', { left: previous.left(clock), ttl: Infinity });
        this.#life.reschedule();
        task?.end({});
        return previous;
      }
      // After tokens that were rejected on arrival, the delays of failed logins stay until a request succeeds.
      this.#awaitingFirstUse = previous?.grant.state === 'refused';
      if (this.#awaitingFirstUse) this.#life.clearAttempt();
      else this.#life.succeed();
      const token = new VaultToken(++this.#count, login, random, previous?.drain);
      this.#token = token;
      this.#life.signal('granted');
      this.#hooks.made(token);
      if (!this.closed) this.#takeOver(token, previous, reason);
      task?.end({ serial: token.sequence });
      return token;
    } catch (error) {
      const failed = this.#failed('replacement', error);
      task?.end({ error: failed.code });
      throw failed;
    }
  }

  /** Revokes the token of a login that came too late to be used, also after the close. */
  #revoke(login: CheckedLogin): void {
    if (!login.own) return;
    this.#hooks.unused(new VaultToken(++this.#count, login, this.#context.random));
  }

  #takeOver(token: VaultToken, previous: VaultToken | undefined, reason: LoginReason): void {
    const { clock, emit, changed } = this.#context;
    previous?.supersede(clock);
    const { next } = this.status();
    emit({ type: 'login', sequence: token.sequence, validUntil: token.validUntil(), next, reason });
    this.#life.reschedule();
    this.#notify(token);
    if (previous) this.#hooks.superseded(previous);
    changed();
  }

  #notify(token: VaultToken): void {
    for (const listener of this.#listeners) listener(token);
  }

  /** Errors that waiting cannot mend have no deadline: shorter delays near the end would not help. */
  #retryDeadline(current: VaultToken, error: VaultError): RetryDeadline | undefined {
    if (!isTransient(error)) return undefined;
    // A token with no uses left is as urgent as an expired one.
    const left = current.lastUse ? 0 : current.left(this.#context.clock);
    // A login whose answer was lost may have cost a use of the secret_id.
    return { left, ttl: hadNoEffect(error) ? current.firstTtl : Infinity };
  }

  async #renew(token: VaultToken): Promise<void> {
    const { ttl: previousTtl } = token.grant;
    if (token.own && (await this.#source.hasChanged()))
      return void (await this.login('source').catch(() => undefined));
    try {
      const update = await renewToken(token, this.#context, this.#hooks);
      if (update.kind === 'ended') return this.onRejected(token);
      this.#life.adopt(token, update);
      if (update.kind !== 'renewed') return;
      for (const text of otherWarnings(update.answer.warnings)) this.#warn(text, 'server-warning');
    } catch (error) {
      // A newer token has taken over: this failure no longer matters.
      if (token !== this.#token) return;
      if (!refusedToken(error)) return void this.#failed('renewal', error);
      // The token is alive, but renewal is denied: a login has to replace it.
      if (!(await this.#hooks.isDead(token))) this.#life.adopt(token, { kind: 'not-renewable' });
      return;
    }
    const { ttl, maxTtl } = token.grant;
    const capped = maxTtl !== 'far';
    // A renewal does not clear a failed login: the token still has to be replaced.
    const replaces = capped && this.#life.failed === 'replacement';
    if (token === this.#token && !replaces) this.#life.succeed();
    const validUntil = token.validUntil();
    const { sequence } = token;
    const { next } = this.status();
    this.#context.emit({ type: 'token-renewed', sequence, validUntil, next, ttl, previousTtl, capped });
    // The remaining time may be too short for consumers to drain; the leases check that.
    if (capped && token.drain > 0) this.#notify(token);
  }

  #failed(attempt: Attempt, cause: unknown): VaultError {
    const { clock, options, emit, changed } = this.#context;
    const current = this.#token;
    const error = cause instanceof VaultError ? cause : unexpected(cause, 'The login');
    const retryAt = this.#life.fail(attempt, error, current && this.#retryDeadline(current, error));
    // A renewal that falls due before the retry keeps the token alive.
    const due = current ? renewalDue(current.view(clock), options.renewal) : 0;
    if (due > 0) this.#life.retryWithin(due);
    this.#life.reschedule();
    if (!this.closed) {
      const type = attempt === 'replacement' ? 'login-failed' : 'token-renewal-failed';
      emit({ type, error, retryAt, attempt: this.#life.retry.count, sequence: current?.sequence ?? 0 });
    }
    changed();
    return error;
  }

  #state(): SessionStatus['state'] {
    if (this.closed) return 'closed';
    if (!this.#token) return 'none';
    if (this.#token.left(this.#context.clock) <= 0) return 'expired';
    return this.#life.retry.error ? 'degraded' : 'valid';
  }
}

/** The end of a token that has one, for its status. */
function endOf(token: VaultToken): Pick<SessionStatus, 'ttl' | 'validUntil' | 'endsBy'> {
  const { ttl, maxTtl } = token.grant;
  return { ttl, validUntil: token.validUntil(), endsBy: maxTtl === 'far' ? 'ttl' : 'max-ttl' };
}
