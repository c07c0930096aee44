import { list, text } from '../server/fields.js';
import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { notFound, Refusal } from '../server/refusal.js';
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
  type Fields,
} from './login-tokens.js';
import { checkName, LOGIN } from './userpass.js';

type Server = Pick<ServerContext, 'time' | 'tokens' | 'vault' | 'directory'>;

/** The part of a method that differs from the others with users of a directory. Texts are those of the server. */
export interface DirectoryKind {
  readonly type: string;
  /** The refusal without a configuration. */
  readonly notConfigured: () => Refusal;
  /** The refusal of a login without a password; without one the directory decides. */
  readonly noPassword?: () => Refusal;
  /** The refusal of a user name or password: at a login, and at a renewal. */
  readonly wrong: () => Refusal;
  readonly wrongAtRenewal: () => Refusal;
  /** The refusal while the directory is down. */
  readonly down: (status: number) => Refusal;
  /** The status of that at a login. */
  readonly downAtLogin: number;
  /** Whether the server locks users out. */
  readonly locksOut: boolean;
  /** The option of the configuration with the policies of users that the mount does not know. */
  readonly policiesOfOthers?: string;
  /** Whether the metadata of tokens contain the policies. */
  readonly policiesInMetadata: boolean;
}

/** An auth method that asks a directory for user and password, at each login and each renewal. */
export class DirectoryAuth implements Backend {
  readonly type: string;
  readonly #kind: DirectoryKind;
  readonly #server: Server;
  readonly #users = new Entries();
  readonly #groups = new Entries();
  readonly #lockOut: LockOut;
  readonly #routes: readonly Route[];
  #config: Fields | undefined;

  constructor(server: Server, kind: DirectoryKind) {
    this.type = kind.type;
    this.#kind = kind;
    this.#server = server;
    this.#lockOut = new LockOut(server.time);
    const entry = [() => undefined, (fields: Fields) => fields] as const;
    this.#routes = [
      [['update'], LOGIN, (call, name = '') => this.#login(call, name)],
      [['update'], /^login$/, (call) => this.#login(call, text(call.body['username']))],
      [
        ['update'],
        /^config$/,
        ({ body }) => {
          checkTokenFields(body);
          this.#config = { ...this.#config, ...body };
        },
      ],
      [['read'], /^config$/, () => ({ data: this.#describe() })],
      ...this.#users.routes('users', ...entry),
      ...this.#groups.routes('groups', ...entry),
    ];
  }

  open(path: string): boolean {
    return path.startsWith('login/') || (path === 'login' && this.type === 'radius');
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #describe(): object {
    if (!this.#config) throw notFound();
    return describeTokenFields(this.#config, this.#server.vault);
  }

  #login(call: Call, name: string): Result {
    const { directory, tokens, vault } = this.#server;
    const kind = this.#kind;
    checkName(name, vault);
    const config = this.#config;
    if (!config) throw kind.notConfigured();
    this.#lockOut.check(name);
    checkBoundCidrs(call, config);
    const password = text(call.body['password']);
    if (password === '' && kind.noPassword) throw kind.noPassword();
    if (directory.down) throw kind.down(kind.downAtLogin);
    const user = directory.find(name, password);
    if (!user) {
      if (kind.locksOut && directory.users.has(name)) this.#lockOut.failed(name);
      throw kind.wrong();
    }
    this.#lockOut.succeeded(name);
    const fields = this.#fieldsOf(name);
    const policies = policiesOf(fields).filter((policy) => policy !== 'default');
    const { token, warnings } = tokens.create(
      loginToken(call, fields, {
        displayName: `${this.type}-${name}`,
        meta: { ...(kind.policiesInMetadata && { policies: policies.join() }), username: name },
        renewal: () => {
          if (directory.down) throw kind.down(400);
          if (!directory.find(name, password)) throw kind.wrongAtRenewal();
          const present = this.#fieldsOf(name);
          checkPolicies({ policies: policiesOf(fields) }, present);
          return tokenBounds(present);
        },
      }),
    );
    return { data: kind.type === 'radius' ? null : {}, auth: token, warnings };
  }

  /** The fields of a token: those of the configuration, with the policies of the user and its groups. */
  #fieldsOf(name: string): Fields {
    const config = this.#config ?? {};
    const own = this.#users.get(name);
    const groups = [...(this.#server.directory.users.get(name)?.groups ?? []), ...list(own?.['groups'])];
    const others = this.#kind.policiesOfOthers;
    const policies = [
      ...list(config['token_policies']),
      ...groups.flatMap((group) => list(this.#groups.get(group)?.['policies'])),
      ...list(own ? own['policies'] : others && config[others]),
    ];
    return { ...config, token_policies: policies };
  }
}
