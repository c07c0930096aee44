import { text } from '../server/fields.js';
import { parseJwt, verifiedBy, type JwtClaims, type ParsedJwt } from '../server/jwt.js';
import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { Refusal } from '../server/refusal.js';
import { route, type Route } from '../server/route.js';
import type { ServerContext } from '../server/server-context.js';
import { Entries } from './entries.js';
import {
  checkBoundCidrs,
  checkTokenFields,
  describeTokenFields,
  loginToken,
  tokenBounds,
  type Fields,
} from './login-tokens.js';

type Server = Pick<ServerContext, 'time' | 'tokens' | 'vault' | 'cloud'>;

/** A login with a token of a cloud. */
export interface CloudLogin {
  readonly name: string;
  readonly role: Fields;
  readonly config: Fields;
  readonly claims: JwtClaims;
  readonly body: Fields;
  /** Milliseconds. */
  readonly now: number;
}

/** The part of a method that differs from that of another cloud. Texts are those of the server. */
export interface CloudKind {
  readonly type: string;
  readonly unknownRole: (name: string) => Refusal;
  readonly notAJwt: () => Refusal;
  /** The keys of the cloud cannot be fetched. */
  readonly down: (claims: JwtClaims) => Refusal;
  readonly wrongSignature: () => Refusal;
  /** Checks claims and bounds; throws the refusal. */
  readonly check: (login: CloudLogin) => void;
  readonly identify: (login: CloudLogin) => { displayName: string; meta: Record<string, string> };
  /** Checks a renewal; throws the refusal. `present` is undefined if the role was deleted. */
  readonly checkRenewal: (name: string, role: Fields, present: Fields | undefined) => void;
}

/** An auth method that verifies a token that a cloud has signed. */
export class CloudAuth implements Backend {
  readonly type: string;
  readonly #kind: CloudKind;
  readonly #server: Server;
  readonly #roles = new Entries();
  readonly #routes: readonly Route[];
  #config: Fields = {};

  constructor(server: Server, kind: CloudKind) {
    this.type = kind.type;
    this.#kind = kind;
    this.#server = server;
    this.#routes = [
      [['update'], /^login$/, (call) => this.#login(call)],
      [['update'], /^config$/, ({ body }) => void Object.assign(this.#config, body)],
      ...this.#roles.routes('role', checkTokenFields, (role) => ({
        ...role,
        ...describeTokenFields(role, server.vault),
      })),
    ];
  }

  open(path: string): boolean {
    return path === 'login';
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #login(call: Call): Result {
    const kind = this.#kind;
    const name = text(call.body['role']);
    if (name === '') throw new Refusal(400, 'role is required');
    const role = this.#roles.get(name);
    if (!role) throw kind.unknownRole(name);
    checkBoundCidrs(call, role);
    const { claims } = this.#verified(text(call.body['jwt']));
    const now = this.#server.time.now;
    const login = { name, role, config: this.#config, claims, body: call.body, now };
    kind.check(login);
    const { token, warnings } = this.#server.tokens.create(
      loginToken(call, role, {
        ...kind.identify(login),
        renewal: () => {
          const present = this.#roles.get(name);
          kind.checkRenewal(name, role, present);
          return tokenBounds(present ?? {});
        },
      }),
    );
    return { auth: token, warnings };
  }

  #verified(jwt: string): ParsedJwt {
    const { cloud } = this.#server;
    const parsed = parseJwt(jwt);
    if (!parsed) throw this.#kind.notAJwt();
    if (cloud.down) throw this.#kind.down(parsed.claims);
    if (!verifiedBy(parsed, cloud.publicKey)) throw this.#kind.wrongSignature();
    return parsed;
  }
}
