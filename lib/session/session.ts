import type { ApiRequest, ApiResponse } from '../client/api-client.js';
import { closed } from '../errors/common-errors.js';
import type { VaultError } from '../errors/vault-error.js';
import type { SessionStatus } from '../events/status.js';
import { CurrentToken } from './current-token.js';
import type { Generation } from './generation.js';
import type { SessionContext } from './session-context.js';
import { sourceTooLong, tokenRefused } from './session-errors.js';
import { nextTokenStep } from './session-policy.js';
import { TokenEnds } from './token-ends.js';
import { isYoung, refusedToken, TokenVerdicts } from './token-verdicts.js';

/**
 * The tokens of a connection, for the requests that need one. Each login is a generation; superseded ones are kept
 * until the leases they made are over, then ended.
 */
export class Session {
  readonly #context: SessionContext;
  readonly #token: CurrentToken;
  readonly #ends: TokenEnds;
  readonly #verdicts: TokenVerdicts;
  /** The source of a secret that a login waits for. */
  #reading: string | undefined;

  constructor(context: SessionContext) {
    this.#context = context;
    this.#ends = new TokenEnds(context);
    const send = (generation: Generation, request: ApiRequest) => this.send(generation, request);
    this.#verdicts = new TokenVerdicts(context, send);
    this.#token = new CurrentToken(context, {
      send,
      isDead: (generation) => this.isDead(generation),
      made: (generation) => this.#ends.add(generation),
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
    return this.#token.generation === undefined || this.#token.generation.revocable;
  }

  /** Calls back for each generation that takes over, and where the current one turns out to be dead. */
  onChange(listener: (generation: Generation) => void): void {
    this.#token.onChange(listener);
  }

  /**
   * A token that works now: the current one, or that of a login, one for all who wait. For a new lease, one that
   * is about to end will not do.
   */
  async acquire(forLease = false): Promise<Generation> {
    if (this.closed) throw closed();
    const { clock, options } = this.#context;
    const known = this.#token.generation;
    if (!known) return this.#token.login('start');
    // By the clocks alone it may only seem to be over.
    if (!known.dead && known.left(clock) <= 0) await this.#token.check(known);
    const current = this.#token.generation ?? known;
    const step = nextTokenStep(current.view(clock), options.renewal);
    // The last use of a token takes every lease it made along, so it is not spent while there are any.
    const spent = current.spent && (forLease || current.leases.size > 0 || current.exhausted);
    const ending = step.action === 'login' && step.reason === 'max-ttl';
    // A lease lasts no longer than its token: in the second half of one that cannot be renewed, none is begun.
    const short =
      forLease && current.own && !current.renewable && current.left(clock) < current.grant.ttl / 2;
    const serves = step.action !== 'login' || (ending ? !forLease : step.in > 0);
    if (!spent && !short && serves) return current;
    try {
      return await this.#token.login(spent ? 'uses' : step.action === 'login' ? step.reason : 'max-ttl');
    } catch (error) {
      // One that still lives serves on where a new login fails.
      if (!current.spent && current.left(clock) > 0) return current;
      throw error;
    }
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
    for (let again = false; ;) {
      const generation = await this.acquire(forLease);
      const ticket = {};
      generation.leases.add(ticket);
      try {
        return take(await this.send<T>(generation, request), generation);
      } catch (error) {
        if (!refusedToken(error)) throw error;
        const young = isYoung(generation, this.#context.clock);
        // A 400 says itself that the last use of the token is gone.
        if (again) throw generation.own && young && error.status === 403 ? tokenRefused(request.path) : error;
        if (!(await this.isDead(generation)) && !young) throw error;
        again = true;
      } finally {
        this.released(generation, ticket);
      }
    }
  }

  /** Sends without a token what servers answer to anybody: also where nobody can log in. */
  async ask<T>(request: ApiRequest): Promise<ApiResponse<T>> {
    if (this.closed) throw closed();
    return this.#context.api.send<T>(request);
  }

  /** Sends with the token of a generation. */
  async send<T>(generation: Generation, request: ApiRequest): Promise<ApiResponse<T>> {
    generation.spend();
    const from = generation.place.namespace;
    const response = await this.#context.api.send<T>(
      from === undefined ? request : { ...request, tokenFrom: from },
      generation.token,
    );
    this.#token.served(generation);
    return response;
  }

  /**
   * After a 403 that may mean a dead token: one look-up, however many ask, tells. Where it is dead all its leases
   * are, and a new login is on its way.
   */
  async isDead(generation: Generation): Promise<boolean> {
    if (!generation.dead && (await this.#verdicts.isDead(generation))) this.#token.died(generation);
    return generation.dead;
  }

  /** A consumer needs so many milliseconds to let go of a lease, once a newer one has taken over. */
  needs(drain: number): void {
    this.#token.needs(drain);
  }

  /** Where the current token seems to be over, though nobody said so, the server is asked: once, however many wait. */
  check(generation: Generation): Promise<void> {
    return this.#token.check(generation);
  }

  /** A newer token has taken over, and this one is revoked, with all it leased, as soon as no lease of it is in use. */
  ends(generation: Generation): boolean {
    const { revoke } = this.#context.options.shutdown;
    return generation.supersededAt !== undefined && generation.revocable && revoke;
  }

  /** Tells that a lease of a generation is over: a superseded token without leases is ended. */
  released(generation: Generation, lease: object): void {
    generation.leases.delete(lease);
    this.#endIfIdle(generation);
  }

  status(): SessionStatus {
    return this.#token.status();
  }

  /** Stops all activity; {@link revokeAll} is what still works. */
  close(): void {
    this.#token.close();
  }

  /** Tokens that the server has not been heard to end. */
  get left(): Generation[] {
    return this.#ends.left;
  }

  /** Resolves when no login is under way. */
  settled(): Promise<void> {
    return this.#token.settled();
  }

  /** The process ends, and another thread asked the server to revoke a token. */
  revoked(generation: Generation, status: number): void {
    this.#ends.revoked(generation, status);
  }

  /** Asks the server to end every token this process made; never throws. */
  async revokeAll(timeout: number): Promise<void> {
    // A login under way may take longer than there is time, and what it makes is one more to be ended.
    const afterLogin = this.#token.settled().then(() => this.#ends.endAll(timeout));
    await Promise.all([this.#ends.endAll(timeout), afterLogin]);
  }

  #endIfIdle(generation: Generation): void {
    if (generation === this.#token.generation || generation.leases.size > 0 || this.closed) return;
    void this.#ends.end(generation);
  }
}
