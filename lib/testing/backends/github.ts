import { list, text } from '../server/fields.js';
import type { Backend, Call, Maybe, Result } from '../server/model.js';
import { Refusal } from '../server/refusal.js';
import { route, type Route } from '../server/route.js';
import type { ServerContext } from '../server/server-context.js';
import { Entries } from './entries.js';
import {
  checkBoundCidrs,
  checkTokenFields,
  loginToken,
  policiesOf,
  renewalRefused,
  tokenBounds,
  type Fields,
} from './login-tokens.js';

type Server = Pick<ServerContext, 'tokens' | 'directory'>;

const API = 'https://api.github.com/user';

/** Users of GitHub; the password of a user of the directory is the access token. */
export class Github implements Backend {
  readonly type = 'github';
  readonly #server: Server;
  readonly #teams = new Entries();
  readonly #users = new Entries();
  readonly #routes: readonly Route[];
  #config: Fields | undefined;

  constructor(server: Server) {
    this.#server = server;
    const entry = [() => undefined, (fields: Fields) => fields] as const;
    this.#routes = [
      [['update'], /^login$/, (call) => this.#login(call)],
      [
        ['update'],
        /^config$/,
        ({ body }) => {
          checkTokenFields(body);
          this.#config = { ...this.#config, ...body };
        },
      ],
      ...this.#teams.routes('map/teams', ...entry),
      ...this.#users.routes('map/users', ...entry),
    ];
  }

  open(path: string): boolean {
    return path === 'login';
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  #login(call: Call): Result {
    const token = text(call.body['token']);
    const { name, fields } = this.#identify(token, (reason) => new Refusal(500, reason));
    checkBoundCidrs(call, fields);
    const created = this.#server.tokens.create(
      loginToken(call, fields, {
        displayName: `github-${name}`,
        meta: { org: text(fields['organization']), username: name },
        renewal: () => {
          const present = this.#identify(token, renewalRefused).fields;
          if (policiesOf(present).join() !== policiesOf(fields).join())
            throw renewalRefused('policies do not match');
          return tokenBounds(present);
        },
      }),
    );
    return { auth: created.token, warnings: created.warnings };
  }

  /** Asks GitHub for the user of a token, its organisations and teams. */
  #identify(token: string, refuse: (reason: string) => Refusal): { name: string; fields: Fields } {
    const { directory } = this.#server;
    const config = this.#config;
    if (!config) throw refuse('configuration has not been set');
    if (directory.down) throw refuse(`Get "${API}": dial tcp 127.0.0.1:443: connect: connection refused`);
    const [name, user] = [...directory.users].find(([, { password }]) => password === token) ?? [];
    if (name === undefined || !user) throw refuse(`GET ${API}: 401 Bad credentials []`);
    const { groups = [] } = user;
    if (!groups.includes(text(config['organization']))) throw refuse('user is not part of required org');
    const policies = [
      ...list(config['token_policies']),
      ...groups.flatMap((group) => list(this.#teams.get(group)?.['value'])),
      ...list(this.#users.get(name.toLowerCase())?.['value']),
    ];
    return { name, fields: { ...config, token_policies: policies } };
  }
}
