import type { Backend, Call, Maybe, Result, Token } from '../server/model.js';
import type { TokenStore } from '../server/token-store.js';
import { secondsField } from '../server/ttl.js';
import { collected, Refusal } from '../server/refusal.js';
import { list, text } from '../server/fields.js';
import { type Route, route } from '../server/route.js';

/** The auth method `auth/token`: creates, looks up, renews and revokes tokens. */
export class TokenAuth implements Backend {
  readonly type = 'token';
  readonly #tokens: TokenStore;
  readonly #routes: readonly Route[];

  constructor(tokens: TokenStore) {
    this.#tokens = tokens;
    const byId = (call: Call) => tokens.find(text(call.body['token']));
    const byAccessor = (call: Call): Token => {
      const token = tokens.findAccessor(text(call.body['accessor']));
      if (!token) throw new Refusal(400, collected('invalid accessor'));
      return token;
    };
    this.#routes = [
      [['read', 'update'], /^lookup-self$/, ({ token }) => token && { data: tokens.lookUp(token) }],
      [['update'], /^renew-self$/, (call) => call.token && this.#renew(call.token, call)],
      [['update'], /^revoke-self$/, ({ token }) => token && this.#revokeSelf(token)],
      [['update'], /^create(-orphan)?$/, (call, orphan) => this.#create(call, orphan !== undefined)],
      [
        ['read', 'update'],
        /^lookup$/,
        (call) => {
          const token = byId(call);
          if (!token) throw new Refusal(403, 'bad token');
          return { data: tokens.lookUp(token) };
        },
      ],
      [
        ['update'],
        /^renew$/,
        (call) => {
          const token = byId(call);
          if (!token) throw new Refusal(400, 'token not found');
          return this.#renew(token, call);
        },
      ],
      [['update'], /^revoke$/, (call) => this.#revoke(byId(call))],
      [
        ['update'],
        /^revoke-orphan$/,
        (call) => {
          const token = byId(call);
          if (!token) throw new Refusal(400, 'token to revoke not found');
          tokens.revokeOrphan(token);
        },
      ],
      [['update'], /^lookup-accessor$/, (call) => ({ data: { ...tokens.lookUp(byAccessor(call)), id: '' } })],
      [['update'], /^renew-accessor$/, (call) => this.#renew(byAccessor(call), call)],
      [
        ['update'],
        /^revoke-accessor$/,
        (call) => {
          const token = tokens.findAccessor(text(call.body['accessor']));
          if (!token) return { data: null, warnings: ['No token found with this accessor'] };
          tokens.revoke(token);
        },
      ],
    ];
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #revoke(token: Token | undefined): void {
    if (token) this.#tokens.revoke(token);
  }

  #renew(token: Token, call: Call): Result | void {
    const warnings = this.#tokens.renew(token, secondsField(call.body, 'increment'), call);
    return warnings && { warnings, auth: token };
  }

  #revokeSelf(token: Token): void {
    if (token.type === 'batch') throw new Refusal(400, 'batch tokens cannot be revoked');
    this.#tokens.revoke(token);
  }

  #create({ body, token, namespace, fullPath }: Call, orphan: boolean): Result {
    const own = token?.init.policies ?? ['root'];
    const requested = list(body['policies']);
    const root = own.includes('root');
    const extra = requested.filter((name) => !own.includes(name) && name !== 'default');
    if (!root && extra.length > 0) throw new Refusal(400, 'child policies must be subset of parent');
    const chosen = requested.length > 0 ? requested : own;
    const withDefault = body['no_default_policy'] !== true && !chosen.includes('root');
    const name = text(body['display_name']);
    const { token: created, warnings } = this.#tokens.create({
      ...(body['id'] !== undefined && { id: text(body['id']) }),
      policies: [...new Set(withDefault ? [...chosen, 'default'] : chosen)].sort(),
      type: body['type'] === 'batch' ? 'batch' : 'service',
      path: fullPath,
      namespace,
      displayName: name ? `token-${name}` : 'token',
      meta: (body['meta'] ?? null) as Record<string, string> | null,
      parent: orphan || body['no_parent'] === true ? undefined : token,
      ttl: secondsField(body, 'ttl'),
      explicitMaxTtl: secondsField(body, 'explicit_max_ttl'),
      period: secondsField(body, 'period'),
      uses: Number(body['num_uses'] ?? 0),
      renewable: body['renewable'] !== false,
    });
    return { auth: created, warnings };
  }
}
