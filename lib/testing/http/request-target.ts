import type { Operation } from '../server/model.js';
import { PRINTABLE } from '../server/printable.js';
import { Redirect, Refusal, WithoutBody } from '../server/refusal.js';

const OPERATIONS: Record<string, Operation> = {
  GET: 'read',
  HEAD: 'read',
  LIST: 'list',
  POST: 'update',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
};
/** Texts that Go takes for true, and for false. */
const TRUE = /^(?:1|t|T|TRUE|true|True)$/;
const FALSE = /^(?:|0|f|F|FALSE|false|False)$/;

/** The operation of a request, its path below `/v1/` and its query. Refuses what no backend gets to see. */
export function requestTarget({ method, url }: { method: string; url: string }): {
  operation: Operation;
  path: string;
  query: URLSearchParams;
} {
  const [path = '', text = ''] = url.split('?', 2);
  const decoded = decode(path);
  if (!decoded.startsWith('/v1/')) throw new Refusal(404);
  if (path.includes('//')) throw new Redirect(collapsed(path) + url.slice(path.length));
  const query = new URLSearchParams(text);
  const operation = OPERATIONS[method];
  if (!operation) throw new Refusal(405);
  const list = operation === 'read' ? (query.get('list') ?? '') : '';
  if (!TRUE.test(list) && !FALSE.test(list)) throw new Refusal(400);
  return {
    operation: TRUE.test(list) ? 'list' : operation,
    path: collapsed(decoded.slice('/v1/'.length)),
    query,
  };
}

const collapsed = (path: string): string => path.replaceAll(/\/{2,}/g, '/');

function decode(path: string): string {
  if (!path.includes('%')) return path;
  try {
    const decoded = decodeURIComponent(path);
    if (PRINTABLE.test(decoded)) return decoded;
  } catch {
    // It is not encoded, or not UTF-8.
  }
  throw new WithoutBody(400);
}
