import { randomUUID } from 'node:crypto';
import type { SimulatedPrincipal } from '../server/cloud.js';
import { list, text } from '../server/fields.js';
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
  renewalRefused,
  tokenBounds,
  type Fields,
} from './login-tokens.js';

type Server = Pick<ServerContext, 'time' | 'tokens' | 'vault' | 'cloud'>;

const SERVER_ID = 'X-Vault-AWS-IAM-Server-ID';
const BODY = 'Action=GetCallerIdentity&Version=2011-06-15';

/** The AWS auth method with roles of the type `iam`. */
export class Aws implements Backend {
  readonly type = 'aws';
  readonly #server: Server;
  readonly #roles = new Entries();
  readonly #ids = new Map<string, string>();
  readonly #routes: readonly Route[];
  #config: Fields = {};

  constructor(server: Server) {
    this.#server = server;
    this.#routes = [
      [['update'], /^login$/, (call) => this.#login(call)],
      [['update'], /^config\/client$/, ({ body }) => void Object.assign(this.#config, body)],
      ...this.#roles.routes(
        'role',
        (role, name) => {
          checkTokenFields(role);
          if (list(role['bound_iam_principal_arn']).length === 0)
            throw new Refusal(400, 'at least one bound parameter should be specified on the role');
          this.#ids.set(name, this.#ids.get(name) ?? randomUUID());
        },
        (role) => ({ ...role, ...describeTokenFields(role, server.vault) }),
      ),
    ];
  }

  open(path: string): boolean {
    return path === 'login';
  }

  handle(call: Call): Maybe<Result | void> {
    return route(this.#routes, call);
  }

  async #login(call: Call): Promise<Result> {
    const { arn } = await this.#ask(this.#signed(call.body));
    const { account, kind, name: principal, session } = partsOf(arn);
    const name = text(call.body['role']) || principal;
    const role = this.#roles.get(name);
    if (!role) throw new Refusal(400, `entry for role ${name} not found`);
    checkBoundCidrs(call, role);
    const canonical = kind === 'assumed-role' ? `arn:aws:iam::${account}:role/${principal}` : arn;
    if (!list(role['bound_iam_principal_arn']).some((bound) => matches(bound, canonical)))
      throw new Refusal(400, `IAM Principal "${arn}" does not belong to the role "${name}"`);
    const { token, warnings } = this.#server.tokens.create(
      loginToken(call, role, {
        displayName: `aws-${principal}${session === '' ? '' : `/${session}`}`,
        meta: { account_id: account, auth_type: 'iam', role_id: this.#ids.get(name) ?? '' },
        renewal: () => {
          const present = this.#roles.get(name);
          if (!present) throw renewalRefused('role entry not found');
          return tokenBounds(present);
        },
      }),
    );
    return { auth: token, warnings };
  }

  /** The signed request of a login, checked as the server does before it sends it to STS. */
  #signed(login: Fields): Record<string, string> {
    const method = text(login['iam_http_request_method']);
    const given = login['iam_request_headers'];
    if (!method || !login['iam_request_url'] || !login['iam_request_body'] || !given)
      throw new Refusal(400, "didn't supply required authentication values");
    if (method !== 'POST') throw new Refusal(400, 'no action found in request');
    const url = decoded(login['iam_request_url']);
    if (!URL.canParse(url)) throw new Refusal(400, 'failed to base64 decode iam_request_url');
    if (new URL(url).search !== '') throw new Refusal(400, 'invalid request');
    if (decoded(login['iam_request_body']) !== BODY) throw new Refusal(400, 'iam request body is invalid');
    const parsed = typeof given === 'object' ? given : JSON.parse(decoded(given));
    const headers = Object.fromEntries(
      Object.entries(parsed as Fields).map(([name, value]) => [
        name.toLowerCase(),
        String(Array.isArray(value) ? value[0] : value),
      ]),
    );
    this.#checkServerId(headers);
    return headers;
  }

  #checkServerId(headers: Record<string, string>): void {
    const expected = text(this.#config['iam_server_id_header_value']);
    if (expected === '') return;
    const refuse = (reason: string) => new Refusal(400, `error validating ${SERVER_ID} header: ${reason}`);
    const given = headers[SERVER_ID.toLowerCase()];
    if (given === undefined) throw refuse(`missing header "${SERVER_ID}"`);
    if (given !== expected) throw refuse(`expected "${expected}" but got "${given}"`);
    const [, signed = ''] = /SignedHeaders=([^,]*)/.exec(headers['authorization'] ?? '') ?? [];
    if (!signed.split(';').includes(SERVER_ID.toLowerCase())) throw refuse("vault header wasn't signed");
  }

  async #ask(headers: Record<string, string>): Promise<SimulatedPrincipal> {
    const endpoint = text(this.#config['sts_endpoint']) || 'https://sts.amazonaws.com';
    const failed = 'error making upstream request:';
    const { cloud, time } = this.#server;
    if (cloud.down)
      throw new Refusal(
        400,
        `${failed} error making request: POST ${endpoint}// giving up after 4 attempt(s): Post "${endpoint}//": dial tcp: connect: connection refused`,
      );
    const caller = await cloud.caller(headers, time.now);
    if (!caller)
      throw new Refusal(
        400,
        `${failed} received error code 403 from STS: <ErrorResponse>SignatureDoesNotMatch</ErrorResponse>`,
      );
    return caller;
  }
}

const decoded = (value: unknown) => Buffer.from(text(value), 'base64').toString();

/** `arn:aws:sts::<account>:assumed-role/<name>/<session>`, or a user of IAM. */
function partsOf(arn: string): { account: string; kind: string; name: string; session: string } {
  const [, , , , account = '', resource = ''] = arn.split(':');
  const [kind = '', name = '', session = ''] = resource.split('/');
  return { account, kind, name, session };
}

const matches = (bound: string, arn: string) =>
  bound.endsWith('*') ? arn.startsWith(bound.slice(0, -1)) : arn === bound;
