import { operationOf, type Operation } from '../../lib/events/counters.js';

/** A request in the audit log of a server, as its answer is recorded there. */
export interface AuditedRequest {
  /** The `request_id` of its answer. */
  readonly id: string;
  readonly operation: Operation;
  readonly path: string;
  /** Whether the answer has a new lease. */
  readonly leased: boolean;
  /** Whether the answer is an error; a read of nothing is none. */
  readonly failed: boolean;
}

interface AuditLine {
  type: 'request' | 'response';
  error?: string;
  auth?: { display_name?: string };
  request: { id?: string; operation: string; path: string };
  response?: { secret?: { lease_id?: string } };
}

/** The method of an operation, as far as {@link operationOf} needs it. */
const METHODS: Readonly<Record<string, string>> = { read: 'GET', list: 'LIST', delete: 'DELETE' };
/** The names of the tokens with which tests set up their servers. */
const OWN = new Set(['root', 'token']);

/**
 * The answered requests in an audit log, without those of the root token.
 *
 * @param text the whole file; a last line that is not complete yet is left out
 */
export function auditedRequests(text: string): AuditedRequest[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as AuditLine)
    .filter(
      ({ type, auth, request }) => type === 'response' && request.id && !OWN.has(auth?.display_name ?? ''),
    )
    .map(({ error, request, response }) => {
      const { id = '', path, operation: kind } = request;
      const operation = operationOf(METHODS[kind] ?? 'POST', path);
      const leased = operation !== 'renew-lease' && Boolean(response?.secret?.lease_id);
      return { id, operation, path, leased, failed: error !== undefined };
    });
}

/** One series of a metric; attributes as OpenTelemetry or as Prometheus writes them. */
export interface CountedSeries {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** Of a histogram, the number of records. */
  readonly value: number;
}

/** A total of the audit log that does not fit to the metrics. */
export interface Difference {
  readonly kind: Operation | 'leases issued';
  readonly audited: number;
  /** The requests that the server has executed for certain. */
  readonly least: number;
  /** With those that it may have executed: without an answer, or sent twice because a connection was dropped. */
  readonly most: number;
}

/**
 * Statuses that the HTTP server sends before a request reaches the audit log: redirect of a standby, state missing, rate
 * limit, sealed. From 500 on, a proxy may have answered.
 */
const isAudited = (status: number) =>
  status >= 200 && status < 500 && ![307, 412, 429, 472, 473].includes(status);

/**
 * Compares the totals of metrics with the audit log, by kind. Without faults they are equal: each answer is in both.
 */
export function differences(
  series: readonly CountedSeries[],
  audited: readonly AuditedRequest[],
): Difference[] {
  const of = (name: string) =>
    series.filter((one) => one.name.replaceAll('.', '_') === `nestjs_vault_${name}`);
  const requests = of('request_duration').map(({ attributes, value }) => ({
    operation: read(attributes, 'operation') as Operation,
    status: Number(read(attributes, 'http.response.status_code') ?? 0),
    value,
  }));
  const dropped = of('request_resends').filter(
    ({ attributes }) => read(attributes, 'reason') === 'stale-socket',
  );
  const operations = new Set([...requests, ...audited].map(({ operation }) => operation));
  const rows: Difference[] = [...operations].map((kind) => {
    const own = requests.filter(({ operation }) => operation === kind);
    return {
      kind,
      audited: audited.filter(({ operation }) => operation === kind).length,
      least: sum(own.filter(({ status }) => isAudited(status))),
      most: sum(own) + sum(dropped),
    };
  });
  const issued = sum(of('leases_issued'));
  const doubtful = sum(requests.filter(({ status }) => !isAudited(status))) + sum(dropped);
  const leased = audited.filter((one) => one.leased).length;
  rows.push({ kind: 'leases issued', audited: leased, least: issued, most: issued + doubtful });
  return rows.filter((row) => row.audited < row.least || row.audited > row.most);
}

function read(attributes: Readonly<Record<string, unknown>>, name: string): unknown {
  return attributes[name] ?? attributes[name.replaceAll('.', '_')];
}

function sum(of: readonly { value: number }[]): number {
  return of.reduce((total, { value }) => total + value, 0);
}
