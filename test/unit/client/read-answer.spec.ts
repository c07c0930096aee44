import { expect, it } from 'vitest';
import { readAnswer, readFailure } from '../../../lib/client/read-answer.js';

const SENT_AT = { monotonic: 0, wall: 0 };
const response = (statusCode: number, body: unknown, headers: Record<string, string> = {}) => ({
  statusCode,
  headers: { 'content-type': 'application/json', ...headers },
  body: typeof body === 'string' ? body : JSON.stringify(body),
  address: 'https://vault:8200',
});
const request = { method: 'GET', path: 'secret/data/app' } as const;

it.each([
  ['0', 0],
  ['7', 7_000],
  ['86400', 60_000],
  ['-1', undefined],
  ['tomorrow', undefined],
])('Retry-After: %s is %s milliseconds', (header, expected) => {
  const answer = response(429, { errors: ['quota'] }, { 'retry-after': header });
  expect(readFailure(answer, request, { tokenNamespace: '', now: 0 }).retryAfter).toBe(expected);
});

it('a warning shows neither a token nor a wrapping token of its answer', () => {
  const tokens = ['canary-of-a-login', 'canary-of-wrapping'];
  const answer = response(200, {
    auth: { client_token: tokens[0], lease_duration: 1 },
    wrap_info: { token: tokens[1], ttl: 60 },
    warnings: tokens.map((token) => `unusual: ${token}`),
  });
  const { warnings } = readAnswer(answer, request, SENT_AT)!;
  expect(warnings).toEqual(['unusual: [redacted]', 'unusual: [redacted]']);
});

it.each([400, 403, 404, 500])('an error is no data, also for a request of bytes: %i', (status) => {
  const page = response(status, '<html>', { 'content-type': 'text/html' });
  expect(readAnswer(page, { ...request, responseType: 'bytes' }, SENT_AT)).toBeUndefined();
});

it('the web page of a proxy is no data', () => {
  const page = response(200, '<html>', { 'content-type': 'text/html' });
  expect(() => readAnswer(page, { ...request, responseType: 'text' }, SENT_AT)).toThrow(
    expect.objectContaining({ code: 'VAULT_NOT_VAULT' }),
  );
});

it.each<['GET' | 'PATCH', unknown, string]>([
  ['GET', { message: 'no Route matched with those values' }, 'VAULT_NOT_VAULT'],
  ['GET', '', 'VAULT_NOT_VAULT'],
  ['GET', [], 'VAULT_NOT_VAULT'],
  ['GET', { errors: [] }, 'VAULT_SECRET_NOT_FOUND'],
  ['GET', { request_id: 'r', data: null, warnings: ['x'] }, 'VAULT_SECRET_NOT_FOUND'],
  // The server's own answer where there is nothing to patch.
  ['PATCH', '', 'VAULT_SECRET_NOT_FOUND'],
  ['PATCH', { message: 'Not Found' }, 'VAULT_NOT_VAULT'],
])('a 404 to %s with %j is %s', (method, body, code) => {
  const error = readFailure(response(404, body), { ...request, method }, { tokenNamespace: '', now: 0 });
  expect(error.code).toBe(code);
});
