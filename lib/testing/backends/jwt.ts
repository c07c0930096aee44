import { list, text } from '../server/fields.js';
import {
  audiencesOf,
  faultOfTimes,
  parseJwt,
  verifiedBy,
  WRONG_AUDIENCE,
  type JwtClaims,
} from '../server/jwt.js';
import type { Backend, Call, Maybe, Renewal, Result } from '../server/model.js';
import { Refusal } from '../server/refusal.js';
import { route, type Route } from '../server/route.js';
import type { ServerContext } from '../server/server-context.js';
import { Entries } from './entries.js';
import {
  checkBoundCidrs,
  checkTokenFields,
  describeTokenFields,
  loginToken,
  renewalRefused,
  tokenBounds,
  type Fields,
} from './login-tokens.js';

type Server = Pick<ServerContext, 'time' | 'tokens' | 'vault'>;

/** Seconds by which the server completes missing times. */
const COMPLETED_BY = 150;
const BOUNDS = ['bound_audiences', 'bound_subject', 'bound_claims', 'token_bound_cidrs'];

const invalid = (why: string) => new Refusal(400, `error validating token: ${why}`);

/** The JWT auth method, with public keys. A `jwks_url` is never reachable: the simulation has no network. */
export class Jwt implements Backend {
  readonly type = 'jwt';
  readonly #server: Server;
  readonly #roles = new Entries();
  readonly #routes: readonly Route[];
  #config: Fields | undefined;

  constructor(server: Server) {
    this.#server = server;
    this.#routes = [
      [['update'], /^login$/, (call) => this.#login(call)],
      [['update'], /^config$/, ({ body }) => this.#configure(body)],
      ...this.#roles.routes('role', checkRole, (role) => this.#describe(role)),
    ];
  }

  open(path: string): boolean {
    return path === 'login';
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #configure(body: Fields): Result | void {
    const { vault } = this.#server;
    const url = text(body['jwks_url']);
    if (url !== '') {
      const problem = vault ? `error checking jwks URL ${url}` : 'error checking jwks URL';
      if (vault || body['skip_jwks_validation'] !== true) throw new Refusal(400, problem);
      this.#config = body;
      return { warnings: [problem] };
    }
    this.#config = body;
  }

  #login(call: Call): Result {
    const config = this.#config;
    if (!config) throw new Refusal(400, 'could not load configuration');
    const { body } = call;
    const name = text(body['role']) || text(config['default_role']);
    if (name === '') throw new Refusal(400, 'missing role');
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(400, `role "${name}" could not be found`);
    if (text(role['role_type']) !== 'jwt') throw new Refusal(400, 'role with oidc role_type is not allowed');
    checkBoundCidrs(call, role);
    const jwt = text(body['jwt']);
    if (jwt === '') throw new Refusal(400, 'missing token');
    const claims = verified(jwt, config);
    this.#checkTimes(claims);
    checkBounds(claims, role, config);
    const user = claims[text(role['user_claim'])];
    if (user === undefined) throw new Refusal(400, `claim "${text(role['user_claim'])}" not found in token`);
    const init = loginToken(call, role, {
      displayName: `jwt-${text(user)}`,
      meta: { role: name, ...mapped(claims, role) },
      renewal: (): Renewal => {
        const present = this.#roles.get(name);
        if (!present) throw renewalRefused(`role ${name} does not exist during renewal`);
        return tokenBounds(present);
      },
    });
    const { token, warnings } = this.#server.tokens.create(init);
    return { auth: token, warnings };
  }

  #checkTimes(claims: JwtClaims): void {
    const { exp, nbf, iat } = claims;
    if (exp === undefined && nbf === undefined && iat === undefined)
      throw invalid('no issued at (iat), not before (nbf), or expiration time (exp) claims in token');
    if ([exp, nbf, iat].some((time) => time !== undefined && typeof time !== 'number'))
      throw invalid('go-jose/go-jose/jwt: expected number value to unmarshal NumericDate');
    const given = { exp: Number(exp ?? 0), nbf: Number(nbf ?? 0), iat: Number(iat ?? 0) };
    const completed = {
      exp: given.exp || Math.max(given.nbf, given.iat) + COMPLETED_BY,
      nbf: given.nbf || given.iat || given.exp - COMPLETED_BY,
      iat,
    };
    const fault = faultOfTimes(completed, this.#server.time.now);
    if (fault) throw invalid(fault);
  }

  #describe(role: Fields): object {
    return {
      bound_audiences: role['bound_audiences'] === undefined ? null : list(role['bound_audiences']),
      bound_claims: role['bound_claims'] ?? null,
      bound_subject: text(role['bound_subject']),
      role_type: text(role['role_type']) || 'oidc',
      user_claim: text(role['user_claim']),
      ...describeTokenFields(role, this.#server.vault),
    };
  }
}

function checkRole(role: Fields): void {
  checkTokenFields(role);
  if (text(role['user_claim']) === '') throw new Refusal(400, 'a user claim must be defined on the role');
  if (text(role['role_type']) === 'jwt' && BOUNDS.every((name) => role[name] === undefined))
    throw new Refusal(400, 'must have at least one bound constraint when creating/updating a role');
}

function verified(jwt: string, config: Fields): JwtClaims {
  const failed = (why: string) => invalid(`error verifying token signature: ${why}`);
  const url = text(config['jwks_url']);
  if (url !== '')
    throw failed(`fetching keys oidc: get keys failed Get "${url}": dial tcp: connect: connection refused`);
  const parsed = parseJwt(jwt);
  if (!parsed) throw failed('go-jose/go-jose: compact JWS format must have three parts');
  if (!list(config['jwt_validation_pubkeys']).some((pem) => verifiedBy(parsed, pem)))
    throw failed('no known key successfully validated the token signature');
  return parsed.claims;
}

/** Checks a JWT against the bounds of its role. */
function checkBounds(claims: JwtClaims, role: Fields, config: Fields): void {
  const issuer = text(config['bound_issuer']);
  if (issuer !== '' && claims['iss'] !== issuer) throw invalid('invalid issuer (iss) claim');
  const audiences = audiencesOf(claims);
  const wanted = list(role['bound_audiences']);
  if (wanted.length > 0 && !audiences.some((one) => wanted.includes(one))) throw invalid(WRONG_AUDIENCE);
  if (wanted.length === 0 && audiences.length > 0)
    throw new Refusal(400, 'audience claim found in JWT but no audiences bound to the role');
  const subject = text(role['bound_subject']);
  if (subject !== '' && claims['sub'] !== subject) throw invalid('invalid subject (sub) claim');
  const glob = text(role['bound_claims_type']) === 'glob';
  for (const [name, bound] of Object.entries((role['bound_claims'] ?? {}) as Fields)) {
    const value = claims[name];
    const refused = (why: string) => new Refusal(400, `error validating claims: claim "${name}" ${why}`);
    if (value === undefined) throw refused('is missing');
    const values = list(value);
    const matches = (pattern: string) =>
      values.some((one) => (glob ? globbed(pattern, one) : one === pattern));
    if (!list(bound).some(matches)) throw refused('does not match any associated bound claim values');
  }
}

function globbed(pattern: string, value: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(value);
}

/** Metadata of the token, from the claims that the role maps. */
function mapped(claims: JwtClaims, role: Fields): Record<string, string> {
  const mappings = Object.entries((role['claim_mappings'] ?? {}) as Record<string, string>);
  return Object.fromEntries(
    mappings.flatMap(([claim, name]) => (claims[claim] === undefined ? [] : [[name, text(claims[claim])]])),
  );
}
