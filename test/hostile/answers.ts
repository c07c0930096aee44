import fc from 'fast-check';
import type { TransportResponse } from '../../lib/client/transport.types.js';

/** A secret in every good answer; must be in no error, event or log line. */
export const CANARY = 'canary-of-the-answer';

export type Answer = Pick<TransportResponse, 'statusCode' | 'headers' | 'body'>;

export const ok = (body: unknown): Answer => ({ statusCode: 200, headers: {}, body: JSON.stringify(body) });

/** JSON as text, for values that an object cannot hold: the same key twice, `__proto__`, infinite numbers. */
export const raw = (body: string, statusCode = 200, headers: Answer['headers'] = {}): Answer => ({
  statusCode,
  headers,
  body,
});

const FORGED = `v1\r\n[Nest] 1 - LOG admin logged in \u001b[2J\u009b\u2028\u202e ${CANARY}`;
const DEPTH = 100_000;
const LARGE = 1_000_000;
const nested = (open: string, close: string, inside = '1') =>
  `${open.repeat(DEPTH)}${inside}${close.repeat(DEPTH)}`;

/** Values of a wrong type or size, for any member of an answer. */
export const VALUES: readonly unknown[] = [
  undefined,
  null,
  true,
  0,
  -1,
  0.01,
  1e300,
  -1e300,
  '',
  '0',
  FORGED,
  CANARY,
  'x'.repeat(20_000),
  [],
  [[]],
  [null, 1, { toString: 1 }],
  {},
  { toString: 1, valueOf: 1, toJSON: 1 },
  { constructor: { prototype: 1 }, length: -1 },
  { [FORGED]: FORGED },
];

/** Whole answers that no server gives, each with a name. */
export const TABLE: readonly (readonly [string, Answer])[] = [
  ['nothing', raw('')],
  ['204', raw('', 204)],
  ['white space', raw(' \n')],
  ['HTML', raw(`<html><body>${CANARY}</body></html>`, 200, { 'content-type': 'text/html' })],
  ['HTML of a gateway', raw(`<h1>502 Bad Gateway</h1>${CANARY}`, 502, { 'content-type': 'text/html' })],
  ['a page of megabytes', raw(`<html>${'<p>'.repeat(LARGE)}`)],
  ['JSON of a gateway', raw(`{"message":"no Route matched","request":"${CANARY}"}`, 404)],
  ['a gateway without words', raw('', 404)],
  ['cut JSON', raw(`{"data":{"password":"${CANARY}","ttl":`)],
  ['two answers', raw('{"data":{}}{"data":{}}')],
  ['a byte order mark', raw('\ufeff{"data":{}}')],
  ['NUL', raw('\u0000'.repeat(1_000))],
  ...['null', 'true', '5', `"${CANARY}"`, '[]', '[{}]'].map((body) => [body, raw(body)] as const),
  ['the same key twice', raw(`{"data":{"a":"${CANARY}"},"data":7,"lease_id":"a","lease_id":{}}`)],
  ['__proto__', raw(`{"__proto__":{"data":{"password":"${CANARY}"}},"data":{"__proto__":{"x":1}}}`)],
  ['constructor', raw('{"data":{"constructor":{"prototype":{"x":1}},"hasOwnProperty":1,"toString":1}}')],
  ['a thenable', raw('{"data":{"then":"x"},"then":{"a":1}}')],
  ['infinite numbers', raw('{"lease_id":"x/y","lease_duration":1e999,"data":{"ttl":1e999}}')],
  ['numbers of many digits', raw(`{"data":{},"lease_duration":${'9'.repeat(10_000)}}`)],
  ['deep lists in data', raw(`{"data":${nested('[', ']')},"warnings":["w"]}`)],
  ['deep objects in data', raw(`{"data":${nested('{"a":', '}')},"warnings":["w"]}`)],
  ['deep objects in auth', raw(`{"auth":${nested('{"a":', '}')},"warnings":["w"]}`)],
  ['a deep answer', raw(nested('[', ']'))],
  ['a deep answer, cut', raw('['.repeat(LARGE))],
  ...[400, 403, 404, 500, 503].flatMap((status) => [
    [`${status}: deep errors`, raw(`{"errors":[${nested('[', ']')}]}`, status)] as const,
    [`${status}: errors without a text`, raw('{"errors":[{"toString":1},null,7,[[]]]}', status)] as const,
    [`${status}: errors of no list`, raw('{"errors":{"length":3},"warnings":7}', status)] as const,
    [
      `${status}: a long error`,
      raw(JSON.stringify({ errors: [FORGED + 'x'.repeat(LARGE)] }), status),
    ] as const,
    [`${status}: many errors`, raw(JSON.stringify({ errors: Array(100_000).fill(FORGED) }), status)] as const,
    [`${status}: a version of no number`, versioned({ [FORGED]: 1 }, status)] as const,
    [`${status}: a version with a line break`, versioned(FORGED, status)] as const,
    [`${status}: a long version`, versioned('7'.repeat(3_000_000), status)] as const,
    [`${status}: data of no object`, raw('{"data":7}', status)] as const,
  ]),
  ['a version with a line break', versioned(FORGED, 200)],
  ['metadata of no object', raw('{"data":{"data":{},"metadata":"x"}}')],
  ['invalid times', raw('{"data":{"data":{},"metadata":{"version":1,"created_time":{"toString":1}}}}')],
  [
    'custom metadata of no texts',
    raw('{"data":{"data":{},"metadata":{"version":1,"custom_metadata":{"a":{}}}}}'),
  ],
  ['keys of no list', raw('{"data":{"keys":{"length":9}}}')],
  ['keys of no texts', raw('{"data":{"keys":[1,{"toString":1}]}}')],
  [
    'many keys',
    ok({ data: Object.fromEntries(Array.from({ length: 100_000 }, (_, n) => [`${FORGED}${n}`, n])) }),
  ],
  ['auth of no object', raw('{"auth":"token","data":null}')],
  ['auth without a TTL', raw(`{"auth":{"client_token":"${CANARY}"}}`)],
  ['a token of no text', raw('{"auth":{"client_token":{"a":1},"lease_duration":60}}')],
  ['a token with a line break', ok({ auth: { client_token: FORGED, lease_duration: 60 } })],
  ['a token of megabytes', ok({ auth: { client_token: 'x'.repeat(LARGE), lease_duration: 60 } })],
  [
    'a lease id of no text',
    raw('{"lease_id":{"a":1},"lease_duration":60,"data":{"username":"u","password":"p"}}'),
  ],
  ['a long lease id', ok({ lease_id: 'x'.repeat(LARGE), lease_duration: 60, data: { a: 1 } })],
  ['warnings of no list', raw('{"data":{},"warnings":{"length":5,"0":"x"}}')],
  ['warnings of no texts', raw('{"data":{},"warnings":[null,7,{"toString":1},[["x"]]]}')],
  ['long warnings', ok({ data: { a: CANARY }, warnings: Array(20).fill(FORGED + 'w'.repeat(LARGE / 10)) })],
  ['many warnings', ok({ data: { a: CANARY }, warnings: Array(100_000).fill(FORGED) })],
  ...[199, 201, 206, 299, 304, 399, 402, 408, 418, 429, 451, 472, 473, 499, 501, 504, 507, 599].map(
    (status) =>
      [`status ${status}`, raw(`{"data":{"a":"${CANARY}"},"errors":["${CANARY}"]}`, status)] as const,
  ),
  ...['-1', '1e9', 'x', 'Infinity', '0x10', FORGED].map(
    (after) => [`Retry-After: ${after}`, raw('{"errors":["x"]}', 429, { 'retry-after': after })] as const,
  ),
  ['several dates', raw('{"errors":["permission denied"]}', 403, { date: ['x', 'y'], 'retry-after': ['1'] })],
  ['a date far away', raw('{"errors":["permission denied"]}', 403, { date: '+275760-09-13T00:00:00Z' })],
  ['an index of 12 KB', raw('{"data":{}}', 200, { 'x-vault-index': 'i'.repeat(12_000) })],
  ['an index with a line break', raw('{"data":{}}', 200, { 'x-vault-index': 'i\r\nX-Vault-Token: x' })],
];

function versioned(version: unknown, statusCode: number): Answer {
  const metadata = {
    version,
    destroyed: statusCode !== 404,
    created_time: version,
    custom_metadata: version,
  };
  return { ...ok({ data: { data: { value: CANARY }, metadata } }), statusCode };
}

/** All ways to the members of a value. */
function waysInto(value: unknown, way: string[] = []): string[][] {
  if (typeof value !== 'object' || value === null) return [way];
  return [way, ...Object.entries(value).flatMap(([key, member]) => waysInto(member, [...way, key]))];
}

function replaced(value: unknown, [key, ...rest]: string[], other: unknown): unknown {
  if (key === undefined) return other;
  // Changed before, into a value that has no members.
  if (typeof value !== 'object' || value === null) return value;
  return { ...value, [key]: replaced((value as Record<string, unknown>)[key], rest, other) };
}

const values = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...VALUES) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 50 }) },
);
const statuses = fc.oneof(
  { weight: 3, arbitrary: fc.constant(200) },
  { weight: 2, arbitrary: fc.constantFrom(400, 403, 404, 412, 429, 472, 473, 500, 502, 503) },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 599 }) },
);
const headers = fc.oneof(
  { weight: 4, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.record(
      Object.fromEntries(
        ['date', 'retry-after', 'x-vault-index', 'content-type'].map((name) => [
          name,
          fc.oneof(fc.string({ unit: 'binary' }), fc.array(fc.string(), { maxLength: 2 })),
        ]),
      ),
      { requiredKeys: [] },
    ),
  },
);
/** Texts by which the client distinguishes errors, so that the test reaches every branch. */
const WORDS = [
  '1 error occurred:\n\t* permission denied\n\n',
  'permission denied',
  'lease not found',
  'past the max TTL',
  'not renewable',
  'invalid role or secret ID',
  'namespace not found',
  'no handler for route',
  'Vault is sealed',
  CANARY,
];

/** Answers close to a server's own: one to three members are replaced, or the text is cut or corrupted. */
export function hostileAnswers(good: object): fc.Arbitrary<Answer> {
  const ways = fc.constantFrom(...waysInto({ warnings: [], errors: [], ...good }));
  const changes = fc.array(fc.tuple(ways, values), { minLength: 1, maxLength: 3 });
  const changed = changes.map((all) =>
    JSON.stringify(all.reduce<unknown>((value, [way, other]) => replaced(value, way, other), good) ?? null),
  );
  const errors = fc.array(fc.oneof(fc.constantFrom(...WORDS), values), { maxLength: 4 });
  const bodies = fc.oneof(
    { weight: 6, arbitrary: changed },
    { weight: 2, arbitrary: errors.map((list) => JSON.stringify({ errors: list })) },
    { weight: 1, arbitrary: fc.nat(400).map((length) => JSON.stringify(good).slice(0, length)) },
    { weight: 1, arbitrary: fc.json({ maxDepth: 4 }) },
    { weight: 1, arbitrary: fc.string({ unit: 'binary' }) },
  );
  return fc.record({ statusCode: statuses, headers, body: bodies });
}
