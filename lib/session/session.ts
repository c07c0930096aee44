import type { ApiRequest, ApiResponse } from '../client/api.types.js';
import { closed } from '../errors/common-errors.js';
import type { VaultError } from '../errors/vault-error.js';
import type { VaultTaskMessage } from '../events/channels.js';
import type { SessionStatus } from '../events/status.js';
import { TokenLifecycle } from './token-lifecycle.js';
import type { VaultToken } from './vault-token.js';
import type { SessionContext } from './session-context.js';
import { sourceTooLong, tokenRefused } from './session-errors.js';
import { nextTokenStep } from './token-policy.js';
import { TokenRevoker } from './token-revoker.js';
import { mayBeUnreplicated, refusedToken, TokenValidator } from './token-validator.js';

/**
 * The tokens of a connection, for the requests that need one. Each login is a token; superseded ones are kept
 * until the leases they made have ended, then revoked.
 */
export class Session {
  readonly #context: SessionContext;
  readonly #token: TokenLifecycle;
  readonly #revoker: TokenRevoker;
  readonly #validator: TokenValidator;
  /** The source of a secret that a login waits for. */
  #reading: string | undefined;

  constructor(context: SessionContext) {
    this.#context = context;
    this.#revoker = new TokenRevoker(context);
    const send = (token: VaultToken, request: ApiRequest) => this.send(token, request);
    this.#validator = new TokenValidator(context, send);
    this.#token = new TokenLifecycle(context, {
      send,
      isDead: (token) => this.isDead(token),
      made: (token) => this.#revoker.add(token),
      unused: (token) => {
        this.#revoker.add(token);
        void this.#revoker.revoke(token);
      },
      superseded: (previous) => this.#endIfIdle(previous),
      reading: (source) => (this.#reading = source),
    });
  }

  get closed(): boolean {
    return this.#token.closed;
  }

  /** Why something that waits for a login gets none in time, where it is the source of the secret that does not answer. */
  sourceTooLong(limit: number): VaultError | undefined {
    return this.#reading === undefined ? undefined : sourceTooLong(this.#reading, limit);
  }

  /** The server ends the token, and all it leased, when it is asked to: it is ours, and no batch token. */
  get revocable(): boolean {
    return this.#token.token === undefined || this.#token.token.revocable;
  }

  /** Calls back for each token that takes over, and where the current one turns out to be dead. */
  onChange(listener: (token: VaultToken) => void): void {
    this.#token.onChange(listener);
  }

  /**
   * A token that works now: the current one, or that of a login, one for all who wait. For a new lease, one that
   * is about to end will not do.
   *
   * @param task that asks, if no caller does
   */
  async acquire(forLease = false, task?: VaultTaskMessage): Promise<VaultToken> {
    if (this.closed) throw closed();
    const { clock, options } = this.#context;
    const known = this.#token.token;
    if (!known) return this.#token.login('start', task);
    // It may have expired by the local clocks only.
    if (!known.ended && known.left(clock) <= 0) await this.#token.check(known);
    const current = this.#token.token ?? known;
    const step = nextTokenStep(current.view(clock), options.renewal);
    // The last use of a token takes every lease it made along, so it is not spent while there are any.
    const spent = current.lastUse && (forLease || current.leases.size > 0 || current.exhausted);
    const ending = step.action === 'login' && step.reason === 'max-ttl';
    // A lease lasts no longer than its token: in the second half of one that cannot be renewed, none is begun.
    const short =
      forLease && current.own && !current.grant.renewable && current.left(clock) < current.grant.ttl / 2;
    const serves = step.action !== 'login' || (ending ? !forLease : step.in > 0);
    if (!spent && !short && serves) return current;
    try {
      const reason = spent ? 'uses' : step.action === 'login' ? step.reason : 'max-ttl';
      return await this.#token.login(reason, task);
    } catch (error) {
      // One that still lives serves on where a new login fails.
      if (!current.lastUse && current.left(clock) > 0) return current;
      throw error;
    }
  }

  /**
   * Sends with a token that works, and once more with a new one if the server had ended it unnoticed. The result of
   * `take` counts as a lease of the token from before the request is sent, so that a token that is superseded in the
   * meantime is not revoked before its lease is known.
   */
  async run<T, R>(
    request: ApiRequest,
    take: (response: ApiResponse<T>, token: VaultToken) => R,
    forLease = false,
  ): Promise<R> {
    for (let again = false; ;) {
      const token = await this.acquire(forLease, request.task);
      const ticket = {};
      token.leases.add(ticket);
      try {
        return take(await this.send<T>(token, request), token);
      } catch (error) {
        if (!refusedToken(error)) throw error;
        const young = mayBeUnreplicated(token, this.#context.clock);
        // A 400 says itself that the last use of the token is gone.
        if (again) throw token.own && young && error.status === 403 ? tokenRefused(request.path) : error;
        if (!(await this.isDead(token)) && !young) throw error;
        again = true;
      } finally {
        this.released(token, ticket);
      }
    }
  }

  /** Sends a request that servers answer without a token, also where no login is possible. */
  async ask<T>(request: ApiRequest): Promise<ApiResponse<T>> {
    if (this.closed) throw closed();
    return this.#context.api.send<T>(request);
  }

  /** Sends with the token of a token. */
  async send<T>(token: VaultToken, request: ApiRequest): Promise<ApiResponse<T>> {
    token.spend();
    const from = token.namespaceOverride.namespace;
    const response = await this.#context.api.send<T>(
      from === undefined ? request : { ...request, tokenNamespace: from },
      token.value,
    );
    this.#token.onUsed(token);
    return response;
  }

  /**
   * After a 403 that may mean a dead token, one look-up decides, for all callers. If the token is dead, so are its
   * leases, and a new login begins.
   */
  async isDead(token: VaultToken): Promise<boolean> {
    if (token.ended || this.#token.severalAgents) return token.ended;
    if (await this.#validator.isDead(token)) this.#token.onRejected(token);
    return token.ended;
  }

  /** A consumer needs so many milliseconds to let go of a lease, once a newer one has taken over. */
  requireDrain(drain: number): void {
    this.#token.requireDrain(drain);
  }

  /** If the current token looks expired by the local clocks only, asks the server; one request for all callers. */
  check(token: VaultToken): Promise<void> {
    return this.#token.check(token);
  }

  /** A newer token has taken over, and this one is revoked, with all it leased, as soon as no lease of it is in use. */
  willRevoke(token: VaultToken): boolean {
    const { revoke } = this.#context.options.shutdown;
    return token.supersededAt !== undefined && token.revocable && revoke;
  }

  /** Records that a lease of a token has ended: a superseded token without leases is revoked. */
  released(token: VaultToken, lease: object): void {
    token.leases.delete(lease);
    this.#endIfIdle(token);
  }

  status(): SessionStatus {
    return this.#token.status();
  }

  /** Stops all activity; {@link revokeAll} is what still works. */
  close(): void {
    this.#token.close();
  }

  /** Tokens that are not known to be revoked. */
  get unrevoked(): VaultToken[] {
    return this.#revoker.unrevoked;
  }

  /** Resolves when no login is under way. */
  settled(): Promise<void> {
    return this.#token.settled();
  }

  /** The process ends, and another thread asked the server to revoke a token. */
  revoked(token: VaultToken, status: number): void {
    this.#revoker.revoked(token, status);
  }

  /** Asks the server to end every token this process made; never throws. */
  async revokeAll(timeout: number): Promise<void> {
    // A login under way may take longer than there is time, and what it makes is one more to be ended.
    const afterLogin = this.#token.settled().then(() => this.#revoker.revokeAll(timeout));
    await Promise.all([this.#revoker.revokeAll(timeout), afterLogin]);
  }

  #endIfIdle(token: VaultToken): void {
    if (token === this.#token.token || token.leases.size > 0 || this.closed) return;
    void this.#revoker.revoke(token);
  }
}
