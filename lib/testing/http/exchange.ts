import { ExchangeFailed } from '../../client/transport-errors.js';
import type { ServerContext } from '../server/server-context.js';
import { INDEX_HEADER } from '../server/replication.js';
import { handleRequest, type HttpAnswer, type HttpRequest } from './handle-request.js';

/** The connection failed, before or after the server did the work. */
export class ConnectionFailure extends ExchangeFailed {
  constructor(code: 'ECONNREFUSED' | 'UND_ERR_SOCKET') {
    super(code, code === 'ECONNREFUSED' ? 'unsent' : 'sent');
  }
}

/** Waits on the clock of the test; rejects if the client aborts the request. */
type Wait = (milliseconds: number) => Promise<void>;

/** Handles one request with the faults that apply to it. Throws a {@link ConnectionFailure} if the connection fails. */
export async function exchange(server: ServerContext, request: HttpRequest, wait: Wait): Promise<HttpAnswer> {
  const [path = '', query = ''] = request.url.split('?', 2);
  const entry = server.log.begin(request.method, path, query, request.headers['x-vault-namespace'] ?? '');
  const { delays, fault } = server.faults.take({ method: request.method, path });
  for (const delay of delays) if (delay.kind === 'delay' && delay.before) await wait(delay.milliseconds);
  if (fault?.kind === 'cut') {
    entry.status = 'cut';
    throw new ConnectionFailure('ECONNREFUSED');
  }
  let answer: HttpAnswer;
  if (fault?.kind === 'answer') {
    const { status, body, headers } = fault;
    const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
    answer = { status, headers: { date: server.time.httpDate, ...headers }, body: text };
  } else if (server.replication.lacks(request.headers[INDEX_HEADER])) {
    const text = JSON.stringify({ errors: ['required index state not present'] });
    answer = { status: 412, headers: { date: server.time.httpDate }, body: text };
  } else {
    const serving = handleRequest(server, request, entry);
    if (server.database.sql) server.time.hold(serving);
    answer = await serving;
    if (request.method !== 'GET' && answer.status < 300)
      Object.assign(answer.headers, server.replication.record());
  }
  entry.status = fault?.kind === 'drop' ? 'dropped' : answer.status;
  for (const delay of delays) if (delay.kind === 'delay' && !delay.before) await wait(delay.milliseconds);
  if (fault?.kind === 'drop') throw new ConnectionFailure('UND_ERR_SOCKET');
  return answer;
}
