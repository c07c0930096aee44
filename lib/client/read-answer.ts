import type { Deadline } from '../clock/deadline.js';
import { tooDeep } from '../errors/common-errors.js';
import { VaultError } from '../errors/vault-error.js';
import { hasLifeMembers, isDuration, isObject } from './answer-members.js';
import { isTooDeep, parseAnswer, readAuth, readWords, readWrapInfo, textOf } from './answer.js';
import type { ApiRequest, ApiResponse } from './api.types.js';
import { madeAt } from './cached-answer.js';
import type { FailedResponse } from './failed-response.js';
import { fromResponse, notVault, saysItWantsTls } from './response-error.js';
import type { TransportResponse } from './transport.types.js';
import { readWarnings } from './warnings.js';

/** Members of which every answer of an engine has at least one; an answer without them is itself the data. */
const ENVELOPE = ['request_id', 'lease_id', 'data', 'auth', 'wrap_info'];

/**
 * Reads a successful answer, or the health of a node, whose status describes its state.
 *
 * @throws VaultError `VAULT_NOT_VAULT`, `VAULT_RESPONSE_TOO_LARGE`
 */
export function readAnswer<T>(
  response: TransportResponse,
  request: ApiRequest,
  sentAt: Deadline,
): ApiResponse<T> | undefined {
  const { statusCode: status, body, headers } = response;
  const success = isSuccess(status);
  if (!success && !isHealth(request)) return undefined;
  const type = textOf(headers['content-type']).toLowerCase();
  if (success && request.responseType && !type.startsWith('application/json')) {
    if (type.startsWith('text/html')) throw lost(notVault(status), response, request);
    return { ...shaped({}, response, sentAt), data: asItIs(response, request) as T };
  }
  if (isTooDeep(body)) throw tooDeep(request.path);
  const envelope = parseAnswer(body);
  if (!success) return isState(envelope) ? shaped<T>(envelope, response, sentAt) : undefined;
  if (envelope === undefined) throw lost(notVault(status, type), response, request);
  const answer = shaped<T>(envelope, response, sentAt);
  return request.responseType && !answer.wrapInfo
    ? { ...answer, data: asItIs(response, request) as T }
    : answer;
}

/** Converts any other answer into an error. */
export function readFailure(
  response: TransportResponse,
  { method, path, capabilities }: ApiRequest,
  known: Pick<FailedResponse, 'namespace' | 'explain' | 'missingHint'> & {
    tokenNamespace: string;
    now: number;
  },
): VaultError {
  const { statusCode: status, body, headers } = response;
  const envelope = isTooDeep(body) ? undefined : parseAnswer(body);
  const date = Date.parse(textOf(headers['date']));
  return fromResponse({
    status,
    data: envelope?.['data'],
    messages: [...readWords(envelope?.['errors']), ...readWords(envelope?.['warnings'])],
    json: envelope !== undefined && !isOfGateway(status, envelope, method),
    wantsTls: saysItWantsTls(status, body),
    method,
    path,
    ...(known.namespace && { namespace: known.namespace }),
    ...(known.explain && { explain: known.explain }),
    ...(known.missingHint && { missingHint: known.missingHint }),
    ...(capabilities && { capabilities }),
    tokenNamespace: known.tokenNamespace,
    ...(Number.isFinite(date) && { clockSkew: date - known.now }),
    ...retryAfter(headers['retry-after']),
  });
}

/**
 * Whether an answer that there is nothing comes from a gateway. The server's own has `errors` or the members of an answer;
 * only its answer to a PATCH has no body.
 */
function isOfGateway(status: number, envelope: Readonly<Record<string, unknown>>, method: string): boolean {
  if (status !== 404 || (method === 'PATCH' && Object.keys(envelope).length === 0)) return false;
  return !['errors', 'warnings', ...ENVELOPE].some((name) => name in envelope);
}

export const isSuccess = (status: number) => status >= 200 && status < 300;

function shaped<T>(
  envelope: Readonly<Record<string, unknown>>,
  { statusCode: status, headers }: TransportResponse,
  sentAt: Deadline,
): ApiResponse<T> {
  const { data = null, lease_id, lease_duration, renewable, warnings, mount_type } = envelope;
  const auth = readAuth(envelope['auth']);
  const wrapInfo = readWrapInfo(envelope['wrap_info']);
  return {
    status,
    data: data as T,
    auth,
    wrapInfo,
    leaseId: textOf(lease_id),
    leaseDuration: isDuration(lease_duration) ? lease_duration : 0,
    renewable: renewable === true,
    warnings: readWarnings(warnings, data, tokenIn(envelope['auth']), wrapInfo?.token),
    mountType: typeof mount_type === 'string' ? mount_type : undefined,
    wellFormed: hasLifeMembers(envelope),
    ...readRequestId(envelope['request_id']),
    whole: isBare(envelope) ? envelope : undefined,
    ...madeAt(headers, sentAt),
  };
}

/** The id of a request is a UUID; any other text is of no use in the audit log. */
function readRequestId(id: unknown): { requestId?: string } {
  return typeof id === 'string' && /^[\da-f-]{36}$/i.test(id) ? { requestId: id } : {};
}

/** The token of an `auth` member, even if its other members are invalid: it still is a secret. */
function tokenIn(auth: unknown): unknown {
  return isObject(auth) ? auth['client_token'] : undefined;
}

function isBare(envelope: Readonly<Record<string, unknown>>): boolean {
  return !ENVELOPE.some((name) => name in envelope) && Object.keys(envelope).length > 0;
}

function asItIs({ body, bytes }: TransportResponse, { responseType }: ApiRequest): string | Buffer {
  return responseType === 'text' ? body : (bytes ?? Buffer.from(body));
}

function isHealth({ method, path }: ApiRequest): boolean {
  return method === 'GET' && path === 'sys/health';
}

/** Whether an answer is the state of a node, not an error in its place. */
function isState(
  envelope: Readonly<Record<string, unknown>> | undefined,
): envelope is Readonly<Record<string, unknown>> {
  return ['initialized', 'sealed', 'standby'].every((name) => typeof envelope?.[name] === 'boolean');
}

function lost(
  [code, message, hint]: ReturnType<typeof notVault>,
  { statusCode: status }: TransportResponse,
  { path }: ApiRequest,
): VaultError {
  return new VaultError({ code, message, hint, status, path, outcomeUnknown: true });
}

function retryAfter(header: unknown): { retryAfter?: number } {
  const seconds = typeof header === 'string' ? Number(header) : NaN;
  return Number.isFinite(seconds) && seconds >= 0 ? { retryAfter: Math.min(seconds, 60) * 1000 } : {};
}
