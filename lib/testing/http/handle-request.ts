import { randomUUID } from 'node:crypto';
import { ExchangeFailed } from '../../client/transport-errors.js';
import type { Backend, Call, Namespace, Operation, Result, Token } from '../server/model.js';
import { inNetworks } from '../server/addresses.js';
import type { ServerContext } from '../server/server-context.js';
import { describeCall, type OpenEntry } from '../server/request-log.js';
import { faultOfJson } from './json-check.js';
import { RateLimited } from '../server/rate-limits.js';
import { requestTarget } from './request-target.js';
import { answersSealed, needsSudo } from '../backends/sys.js';
import { collected, Redirect, Refusal, Unknown, WithoutBody, WrongKvPath } from '../server/refusal.js';

/** One HTTP request; header names in lower case. */
export interface HttpRequest {
  method: string;
  /** Path with the query. */
  url: string;
  headers: Record<string, string | undefined>;
  body: string;
  source: string;
  /** Client certificate of the connection, as PEM. */
  certificate?: string | undefined;
}

/** One HTTP answer. */
export interface HttpAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

const NEEDED: Record<Operation, string> = {
  read: 'read',
  list: 'list',
  update: 'update',
  patch: 'patch',
  delete: 'delete',
};

const WRITES: ReadonlySet<Operation> = new Set(['update', 'patch']);
const MERGE_PATCH = 'application/merge-patch+json';

/** Answers one request as the server does, without the network. */
export async function handleRequest(
  server: ServerContext,
  request: HttpRequest,
  entry: OpenEntry,
): Promise<HttpAnswer> {
  server.time.expire();
  let token: Token | undefined;
  try {
    const call = parse(server, request, entry);
    token = call.token;
    const { result, backend } = await authoriseAndCall(server, call, request);
    return answer(server, request, call, result, backend);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return refuse(server, request, error);
  } finally {
    if (token?.lastUse) server.tokens.revoke(token);
  }
}

/** Parses a request and finds its namespace and token; refuses it in states of the node that do not serve it. */
function parse(server: ServerContext, request: HttpRequest, entry: OpenEntry): Call {
  const { operation, path, query } = requestTarget(request);
  const found = locate(server, request.headers['x-vault-namespace'] ?? '', path);
  if (server.node.sealed && !answersSealed(found.path)) throw new Refusal(503, 'Vault is sealed');
  if (server.node.state === 'dr-secondary' && !answersSealed(found.path))
    throw new Refusal(400, 'path disabled in replication DR secondary mode');
  if (server.node.standby && !answersSealed(found.path))
    throw redirectToLeader(server.node.standby.leader, request.url);
  if (request.method === 'HEAD' && !found.path.startsWith('sys/')) throw new Refusal(405);
  const contentType = request.headers['content-type'] ?? '';
  if (operation === 'patch' && !contentType.startsWith(MERGE_PATCH))
    throw new Refusal(415, `PATCH requires Content-Type of ${MERGE_PATCH}, provided ${contentType}`);
  server.rateLimits.count(found.path);
  const authorization = request.headers['authorization'] ?? '';
  const rawToken = (request.headers['x-vault-token'] ?? authorization.replace(/^Bearer /i, '')).trim();
  const token = rawToken === '' ? undefined : server.tokens.find(rawToken);
  const body = operation === 'read' || operation === 'list' ? {} : parseBody(server, request);
  describeCall(entry, token, body);
  return {
    operation,
    path: '',
    fullPath: found.path,
    body,
    query,
    contentType,
    namespace: found.namespace,
    token,
    rawToken,
    source: request.source,
    certificate: request.certificate,
  };
}

/** Answer of a standby: a redirect to the leader, if it knows one. */
function redirectToLeader(leader: string | undefined, url: string): Refusal {
  if (leader) return new Redirect(leader + url);
  return new Refusal(500, 'local node not active but active cluster node not found');
}

/** Finds the namespace, given by header, path or both; community editions of Vault have none. */
function locate(server: ServerContext, header: string, path: string): { namespace: Namespace; path: string } {
  const name = header.replace(/^\/|\/$/g, '');
  const asked = server.vault || name === '' || name === 'root' ? '' : `${name}/`;
  const named = server.namespaces.get(asked);
  if (!named) throw new Refusal(404, 'namespace not found');
  let [namespace, rest]: [Namespace, string] = [named, path];
  while (server.namespaces.size > 1) {
    const slash = rest.indexOf('/');
    const next: Namespace | undefined =
      slash < 0 ? undefined : server.namespaces.get(namespace.path + rest.slice(0, slash + 1));
    if (!next) break;
    namespace = next;
    rest = rest.slice(slash + 1);
  }
  return { namespace, path: rest };
}

function parseBody(server: ServerContext, { body, headers }: HttpRequest): Record<string, unknown> {
  if (body === '') return {};
  if (headers['content-type']?.startsWith('application/x-www-form-urlencoded'))
    return Object.fromEntries(new URLSearchParams(body));
  const fault = server.vault && faultOfJson(body);
  if (fault) throw new Refusal(500, fault);
  const prefix = server.vault
    ? 'error parsing JSON: failed to parse JSON input'
    : 'failed to decode JSON input';
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch (error) {
    throw new Refusal(400, `${prefix}: ${invalidCharacter(body, error as Error) || 'unexpected EOF'}`);
  }
  if (typeof value === 'object' && !Array.isArray(value)) return (value ?? {}) as Record<string, unknown>;
  const kind = Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value;
  throw new Refusal(
    400,
    `${prefix}: json: cannot unmarshal ${kind} into Go value of type map[string]interface {}`,
  );
}

/** Error for the first invalid character; undefined if the body ends too early. */
function invalidCharacter(body: string, { message }: Error): string | undefined {
  const [, at = ''] = /at position (\d+)/.exec(message) ?? [];
  const invalid = /^Unexpected token '(.)'/u.exec(message)?.[1] ?? body.charAt(Number(at || body.length));
  return invalid && `invalid character '${invalid}' looking for beginning of value`;
}

/** Authenticates and authorises a request, then calls its backend. */
async function authoriseAndCall(
  server: ServerContext,
  call: Call,
  request: HttpRequest,
): Promise<{ result: Result | void; backend: Backend }> {
  const { namespace, token, fullPath } = call;
  const found = namespace.find(fullPath);
  // Recorded before the policies are checked: a narrow policy denies the path and would hide that it is not mounted.
  if (!found) noteUnhandled(server, request);
  if (fullPath.endsWith('/') && WRITES.has(call.operation))
    throw new Refusal(400, "cannot write to a path ending in '/'");
  const open = found?.backend.open?.(found.rest) === true;
  if (found) call.path = found.rest;
  if (!open) {
    if (!token) throw unauthenticated(server, call);
    use(token, call);
    const creates = call.operation === 'update' && found?.backend.exists?.(call) === false;
    // The server appends a slash to the path of a LIST.
    const path = call.operation === 'list' ? fullPath.replace(/\/?$/, '/') : fullPath;
    const allowed = server.access.capabilities(token, namespace, path);
    const granted =
      token.root ||
      (allowed.has(creates ? 'create' : NEEDED[call.operation]) &&
        (!needsSudo(fullPath) || allowed.has('sudo')));
    if (!granted) throw new Refusal(403, collected('permission denied'));
  }
  if (!found) throw new Refusal(404, `no handler for route "${fullPath}". route entry not found.`);
  const { backend } = found;
  const result = await backend.handle(call);
  return { result: result && server.secondFactors.demand(call, result), backend };
}

function unauthenticated(server: ServerContext, { rawToken }: Call): Refusal {
  if (server.vault && rawToken) return new Refusal(403, collected('permission denied', 'invalid token'));
  return new Refusal(403, 'permission denied');
}

/** Counts a use of the token, whatever the answer, and checks its networks. */
function use(token: Token, { source }: Call): void {
  token.uses--;
  if (token.uses <= 0) token.lastUse = true;
  const cidrs = token.init.boundCidrs;
  if (cidrs && cidrs.length > 0 && !inNetworks(source, cidrs)) throw new Refusal(403, 'permission denied');
}

function answer(
  server: ServerContext,
  request: HttpRequest,
  call: Call,
  result: Result | void,
  { type }: Backend,
): HttpAnswer {
  const { token, fullPath } = call;
  if (token?.lastUse && result?.lease) {
    server.leases.end(result.lease);
    throw new Refusal(
      400,
      'Secret cannot be returned; token had one use left, so leased credentials were immediately revoked.',
    );
  }
  const { status = 200 } = result ?? {};
  if (!result || status === 202) return respond(server, request, result ? status : 204);
  if (result.bare !== undefined) return respond(server, request, status, result.bare);
  const body = result.unwrapped ?? envelope(server, result, type);
  const wrapTtl =
    status < 300 && !result.unwrapped ? server.wrapping.ttlOf(request.headers['x-vault-wrap-ttl']) : 0;
  if (fullPath === 'sys/wrapping/wrap' && wrapTtl === 0)
    throw new Refusal(400, 'endpoint requires response wrapping to be used');
  // OpenBao closes the connection without an answer.
  if (wrapTtl > 0 && result.demand && !server.vault) throw new ExchangeFailed('UND_ERR_SOCKET', 'sent');
  if (wrapTtl === 0 || result.wrapInfo) return respond(server, request, status, body);
  return respond(server, request, status, {
    ...envelope(server, {}, type),
    request_id: '',
    wrap_info: server.wrapping.wrap(call, fullPath, body, wrapTtl, result.auth),
  });
}

function envelope(server: ServerContext, result: Result, mountType: string): object {
  const { lease, data = null, warnings, auth } = result;
  return {
    ...(result.flat && data),
    request_id: result.wrapInfo ? '' : randomUUID(),
    lease_id: lease?.id ?? '',
    renewable: lease?.renewable ?? false,
    lease_duration: lease?.ttl ?? result.leaseDuration ?? 0,
    data,
    wrap_info: result.wrapInfo ?? null,
    warnings: warnings && warnings.length > 0 ? warnings : null,
    auth: auth ? server.tokens.describe(auth) : (result.demand ?? null),
    ...(server.vault && { mount_type: mountType }),
  };
}

function noteUnhandled(server: ServerContext, { method, url }: HttpRequest): void {
  server.log.unhandled.push(`${method} ${url.split('?', 1)[0]}`);
}

function refuse(server: ServerContext, request: HttpRequest, error: Refusal): HttpAnswer {
  // A read of a wrong path may be a question for the version of the engine.
  if (error instanceof Unknown || (error instanceof WrongKvPath && request.method !== 'GET'))
    noteUnhandled(server, request);
  if (error instanceof WithoutBody) return respond(server, request, error.status);
  if (error instanceof WrongKvPath)
    return respond(server, request, 404, envelope(server, { warnings: error.warnings }, 'kv'));
  if (error instanceof Redirect) return redirect(server, request, error);
  const answered = respond(server, request, error.status, { errors: error.errors });
  if (error instanceof RateLimited && error.retryAfter !== undefined)
    answered.headers['retry-after'] = String(error.retryAfter);
  return answered;
}

function redirect(server: ServerContext, request: HttpRequest, { status, location }: Redirect): HttpAnswer {
  const { headers } = respond(server, request, status);
  const body = request.method === 'GET' ? `<a href="${location}">Temporary Redirect</a>.\n\n` : '';
  return { status, headers: { ...headers, 'content-type': 'text/html; charset=utf-8', location }, body };
}

function respond(server: ServerContext, request: HttpRequest, status: number, body?: unknown): HttpAnswer {
  const headers: Record<string, string> = {
    'cache-control': 'no-store',
    'content-type': 'application/json',
    date: server.time.httpDate,
  };
  return {
    status,
    headers,
    body: body === undefined || request.method === 'HEAD' ? '' : JSON.stringify(body),
  };
}
