import { text } from '../server/fields.js';
import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { collected, Refusal } from '../server/refusal.js';
import { route, type Route } from '../server/route.js';
import type { ServerContext } from '../server/server-context.js';
import { Entries } from './entries.js';
import { LockOut } from './lock-out.js';
import {
  checkBoundCidrs,
  checkPolicies,
  checkTokenFields,
  describeTokenFields,
  loginToken,
  policiesOf,
  tokenBounds,
} from './login-tokens.js';

type Server = Pick<ServerContext, 'time' | 'tokens' | 'vault'>;

const refused = () => new Refusal(400, 'invalid username or password');

/** The auth method with users and passwords of the server itself. */
export class Userpass implements Backend {
  readonly type = 'userpass';
  readonly #server: Server;
  readonly #users = new Entries();
  readonly #lockOut: LockOut;
  readonly #routes: readonly Route[];

  constructor(server: Server) {
    this.#server = server;
    this.#lockOut = new LockOut(server.time);
    const { vault } = server;
    const missing = vault
      ? '"password" or "password_hash" must be supplied'
      : 'must provide either password or password_hash';
    this.#routes = [
      [['update'], LOGIN, (call, name = '') => this.#login(call, name)],
      [
        ['update'],
        /^users\/([^/]+)\/(?:password|policies)$/,
        ({ body }, name = '') => {
          const user = this.#users.get(name);
          if (!user) throw new Refusal(400, 'username does not exist');
          Object.assign(user, body);
        },
      ],
      ...this.#users.routes(
        'users',
        (fields) => {
          if (!text(fields['password']) && !text(fields['password_hash'])) throw new Refusal(400, missing);
          checkTokenFields(fields);
        },
        (fields) => describeTokenFields(fields, vault),
      ),
    ];
  }

  open(path: string): boolean {
    return path.startsWith('login/');
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #login(call: Call, name: string): Result {
    const { vault, tokens } = this.#server;
    checkName(name, vault);
    this.#lockOut.check(name);
    const password = text(call.body['password']);
    const user = this.#users.get(name);
    if (password === '' && !vault) throw new Refusal(500, 'missing password');
    if (user && password !== user['password']) this.#lockOut.failed(name);
    if (password === '') throw new Refusal(400, 'invalid credentials');
    if (!user || password !== user['password']) throw refused();
    checkBoundCidrs(call, user);
    this.#lockOut.succeeded(name);
    const policies = policiesOf(user);
    const { token, warnings } = tokens.create(
      loginToken(call, user, {
        displayName: `userpass-${name}`,
        meta: { username: name },
        renewal: () => {
          const present = this.#users.get(name);
          if (!present) return undefined;
          checkPolicies({ policies }, present);
          return tokenBounds(present);
        },
      }),
    );
    return { auth: token, warnings };
  }
}

/** The login path of a user. */
export const LOGIN = /^login\/(.*)$/;

/** Refuses a login path that is none of a user. */
export function checkName(name: string, vault: boolean): void {
  if (!name.includes('/')) return;
  throw vault
    ? new Refusal(500, 'failed to determine alias name from login request')
    : new Refusal(404, collected('unsupported path'));
}
