import { randomText } from './ids.js';
import type { LeaseStore } from './lease-store.js';
import { Token, type Call, type TokenInit } from './model.js';
import { Refusal } from './refusal.js';
import type { ServerTime } from './server-time.js';
import { grantedTtl } from './ttl.js';

/** All tokens of a server. */
export class TokenStore {
  readonly #time: ServerTime;
  readonly #leases: LeaseStore;
  readonly #vault: boolean;
  readonly #byId = new Map<string, Token>();
  readonly #byAccessor = new Map<string, Token>();
  readonly #onExpired = (token: Token) => this.revoke(token);
  #count = 0;

  constructor(time: ServerTime, leases: LeaseStore, vault: boolean) {
    this.#time = time;
    this.#leases = leases;
    this.#vault = vault;
  }

  get size(): number {
    return this.#byId.size;
  }

  all(): IterableIterator<Token> {
    return this.#byId.values();
  }

  create(init: TokenInit): { token: Token; warnings: string[] } {
    const { now } = this.#time;
    const vault = this.#vault;
    const unlimited = init.policies.includes('root') && !init.ttl && !init.period && !init.explicitMaxTtl;
    const { ttl, warnings } = unlimited
      ? { ttl: 0, warnings: [] }
      : grantedTtl({ ...init, issuedAt: now }, now);
    const batch = init.type === 'batch';
    const prefix = vault ? (batch ? 'hvb.' : 'hvs.') : batch ? 'b.' : 's.';
    const token = new Token(
      init,
      ++this.#count,
      now,
      {
        id: init.id ?? prefix + randomText(batch ? 110 : vault ? 90 : 24),
        accessor: batch ? '' : randomText(24),
      },
      ttl,
      this.#onExpired,
    );
    this.#byId.set(token.id, token);
    if (token.accessor) this.#byAccessor.set(token.accessor, token);
    init.parent?.children.add(token);
    this.#time.expireAt(token.expires, token);
    return { token, warnings };
  }

  /** Finds a live token; white space around the id is ignored. */
  find(id: string): Token | undefined {
    return this.#byId.get(id) ?? this.#byId.get(id.trim());
  }

  findAccessor(accessor: string): Token | undefined {
    return this.#byAccessor.get(accessor);
  }

  /**
   * Renews by this many seconds from now, or by the default. Periodic tokens ignore the increment.
   *
   * @returns the warnings; undefined if the method that made the token extends nothing
   */
  renew(token: Token, increment: number, call: Call): string[] | undefined {
    if (token.type === 'batch') throw new Refusal(400, 'batch tokens cannot be renewed');
    if (!token.renewable) throw new Refusal(400, 'lease is not renewable');
    const { now } = this.#time;
    const { init } = token;
    try {
      const bounds = init.renewal ? init.renewal(call) : { ttl: token.ttl };
      if (!bounds) return undefined;
      const granted = grantedTtl({ ...init, ...bounds, increment, issuedAt: token.issuedAt }, now);
      token.ttl = granted.ttl;
      token.renewedAt = now;
      token.expires = now + granted.ttl * 1000;
      this.#time.expireAt(token.expires, token);
      return granted.warnings;
    } catch (error) {
      if (error instanceof Refusal) throw error;
      throw new Refusal(400, (error as Error).message);
    }
  }

  /** Ends a token, its child tokens and all their leases. */
  revoke(token: Token): void {
    if (token.ended) return;
    token.ended = true;
    this.#byId.delete(token.id);
    this.#byAccessor.delete(token.accessor);
    token.init.parent?.children.delete(token);
    for (const lease of token.leases) this.#leases.end(lease);
    for (const child of token.children) this.revoke(child);
  }

  /** Ends a token and keeps its child tokens. */
  revokeOrphan(token: Token): void {
    token.children.clear();
    this.revoke(token);
  }

  /** Builds `auth` of an answer. */
  describe(token: Token): object {
    const policies = [...token.init.policies];
    return {
      client_token: token.id,
      accessor: token.accessor,
      policies,
      token_policies: policies,
      metadata: token.init.meta ?? null,
      lease_duration: token.ttl,
      renewable: token.renewable,
      entity_id: token.entityId,
      token_type: token.type,
      orphan: token.orphan,
      mfa_requirement: null,
      num_uses: token.init.uses ?? 0,
    };
  }

  /** Builds `data` of a look-up. */
  lookUp(token: Token): object {
    const { init, renewedAt, expires } = token;
    const ttl = expires === Infinity ? 0 : Math.max(0, Math.ceil((expires - this.#time.now) / 1000));
    return {
      accessor: token.accessor,
      creation_time: Math.floor(token.issuedAt / 1000),
      creation_ttl: token.creationTtl,
      display_name: init.displayName ?? 'token',
      entity_id: token.entityId,
      expire_time: expires === Infinity ? null : new Date(expires).toISOString(),
      explicit_max_ttl: init.explicitMaxTtl ?? 0,
      id: token.id,
      issue_time: new Date(token.issuedAt).toISOString(),
      ...(renewedAt !== undefined && {
        last_renewal: new Date(renewedAt).toISOString(),
        last_renewal_time: Math.floor(renewedAt / 1000),
      }),
      meta: init.meta ?? null,
      ...(init.namespace.path && { namespace_path: init.namespace.path }),
      num_uses: token.lastUse ? -1 : token.uses === Infinity ? 0 : token.uses,
      orphan: token.orphan,
      path: init.path,
      ...(init.period && { period: init.period }),
      policies: [...init.policies],
      renewable: token.renewable,
      ttl,
      type: token.type,
    };
  }
}
