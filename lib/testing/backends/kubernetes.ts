import { randomUUID } from 'node:crypto';
import { list, text } from '../server/fields.js';
import { audiencesOf, faultOfTimes, parseJwt, WRONG_AUDIENCE, type JwtClaims } from '../server/jwt.js';
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

/** A service account of the cluster; the cluster accepts tokens with its uid. */
interface Account {
  uid: string;
  rejected: boolean;
}

const denied = () => new Refusal(403, 'permission denied');

/** The Kubernetes auth method. The cluster behind it is a table of service accounts. */
export class Kubernetes implements Backend {
  readonly type = 'kubernetes';
  readonly #server: Server;
  readonly #accounts = new Map<string, Account>();
  readonly #roles = new Entries();
  readonly #routes: readonly Route[];
  #config: Fields | undefined;

  constructor(server: Server) {
    this.#server = server;
    const check = (role: Fields, name: string) => this.#check(role, name);
    this.#routes = [
      [['update'], /^login$/, (call) => this.#login(call)],
      [['update'], /^config$/, ({ body }) => this.#configure(body)],
      ...this.#roles.routes('role', check, (role) => this.#describe(role)),
    ];
  }

  open(path: string): boolean {
    return path === 'login';
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  /** The service account of the cluster with this name, created if missing. */
  account(namespace: string, name: string): Account {
    const key = `${namespace}/${name}`;
    const account = this.#accounts.get(key) ?? { uid: randomUUID(), rejected: false };
    this.#accounts.set(key, account);
    return account;
  }

  #configure(body: Fields): void {
    if (text(body['kubernetes_host']) === '') throw new Refusal(400, 'no host provided');
    this.#config = body;
  }

  #check(role: Fields, name: string): Result | void {
    checkTokenFields(role);
    if (!this.#server.vault || text(role['audience']) !== '') return;
    const warning =
      `Role ${name} does not have an audience configured. While audiences are not required, consider specifying one if ` +
      'your use case would benefit from additional JWT claim verification.';
    return { warnings: [warning] };
  }

  #login(call: Call): Result {
    const { time, tokens, vault } = this.#server;
    const { body } = call;
    const name = text(body['role']);
    if (name === '') throw new Refusal(400, 'missing role');
    const jwt = text(body['jwt']);
    if (jwt === '') throw new Refusal(400, 'missing jwt');
    const role = this.#roles.get(name);
    if (!role || !this.#config) throw new Refusal(400, `invalid role name "${name}"`);
    checkBoundCidrs(call, role);
    const claims = parseJwt(jwt)?.claims;
    if (!claims) throw denied();
    const audience = text(role['audience']);
    if (audience !== '' && !audiencesOf(claims).includes(audience)) throw new Refusal(403, WRONG_AUDIENCE);
    const fault = faultOfTimes(claims, time.now);
    if (fault) throw new Refusal(403, fault);
    const account = accountOf(claims);
    if (!allows(role['bound_service_account_names'], account.name))
      throw new Refusal(403, 'service account name not authorized');
    if (!allows(role['bound_service_account_namespaces'], account.namespace))
      throw new Refusal(403, 'namespace not authorized');
    if (!this.#accepts(claims)) throw denied();
    const init = loginToken(call, role, {
      displayName: `kubernetes-${account.namespace}-${account.name}`,
      meta: {
        role: name,
        service_account_name: account.name,
        service_account_namespace: account.namespace,
        service_account_secret_name: '',
        service_account_uid: account.uid,
      },
      renewal: (): Renewal => {
        const present = this.#roles.get(name);
        if (!present) throw renewalRefused(`role ${name} does not exist during renewal`);
        // OpenBao asks the cluster again, about the token of the login.
        if (!vault && !this.#accepts(claims)) throw renewalDenied(account.name);
        return tokenBounds(present);
      },
    });
    const { token, warnings } = tokens.create(init);
    return { auth: token, warnings };
  }

  /** The TokenReview of the cluster. */
  #accepts(claims: JwtClaims): boolean {
    const { namespace, name, uid } = accountOf(claims);
    const account = this.#accounts.get(`${namespace}/${name}`);
    const { exp } = claims;
    const ended = typeof exp === 'number' && exp * 1_000 <= this.#server.time.now;
    return account?.uid === uid && !account.rejected && !ended;
  }

  #describe(role: Fields): object {
    return {
      alias_name_source: text(role['alias_name_source']) || 'serviceaccount_uid',
      audience: text(role['audience']),
      bound_service_account_names: list(role['bound_service_account_names']),
      bound_service_account_namespace_selector: '',
      bound_service_account_namespaces: list(role['bound_service_account_namespaces']),
      ...describeTokenFields(role, this.#server.vault),
    };
  }
}

function renewalDenied(account: string): Refusal {
  const what = `failed to validate token and secret still exist for "${account}" during renewal`;
  return renewalRefused(`${what}: permission denied`, 403);
}

function allows(bound: unknown, name: string): boolean {
  const names = list(bound);
  return names.includes('*') || (name !== '' && names.includes(name));
}

function accountOf(claims: JwtClaims): { namespace: string; name: string; uid: string } {
  const own = (claims['kubernetes.io'] ?? {}) as Record<string, unknown>;
  const account = (own['serviceaccount'] ?? {}) as Record<string, unknown>;
  return { namespace: text(own['namespace']), name: text(account['name']), uid: text(account['uid']) };
}
