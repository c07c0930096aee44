import fc from 'fast-check';
import { expect, it } from 'vitest';
import { parseExactly } from '../../../lib/client/exact-json.js';
import type { Sender } from '../../../lib/client/transport.types.js';
import { Secret, token } from '../../../lib/index.js';
import { VirtualClock } from '../../../lib/testing/index.js';
import { live } from '../../conformance/life.js';

const ID = 1234567890123456789n;

it.each<[string, unknown]>([
  ['1234567890123456789', ID],
  ['[-9007199254740993, 9007199254740993]', [-9007199254740993n, 9007199254740993n]],
  ['{"a":{"b":[1234567890123456789]}}', { a: { b: [ID] } }],
  // Exact numbers, or no integers.
  ['9007199254740991', 9007199254740991],
  ['[0.12345678901234567890, 1e30, -0]', [Number('0.12345678901234567890'), 1e30, -0]],
  // Digits in a string are no number.
  ['{"1234567890123456789":"1234567890123456789"}', { [String(ID)]: String(ID) }],
  [String.raw`["\\", "\"1234567890123456789", 1]`, ['\\', `"${ID}`, 1]],
])('%s', (json, value) => {
  expect(parseExactly(json)).toEqual(value);
});

it('equals JSON.parse for any output of JSON.stringify', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 4 }), (json) => {
      const exact = JSON.stringify(parseExactly(json), (_name, one: unknown) =>
        typeof one === 'bigint' ? Number(one) : one,
      );
      expect(exact).toBe(JSON.stringify(JSON.parse(json)));
    }),
    { numRuns: 300 },
  );
  expect(() => parseExactly('{1234567890123456789:1}')).toThrow(SyntaxError);
  expect(() => parseExactly('01234567890123456789')).toThrow(SyntaxError);
  expect(() => parseExactly(`[${'9'.repeat(10_000)}]`)).toThrow(RangeError);
});

it('a secret keeps its exact integers, and is compared by them', async () => {
  let id = ID;
  const transport: Sender = {
    send: ({ path }) => {
      const data = path.includes('lookup')
        ? '{"ttl":0,"renewable":false,"num_uses":0}'
        : path.includes('/data/')
          ? `{"data":{"id":${id}},"metadata":{"version":1,"created_time":"2026-01-01T00:00:00Z"}}`
          : `{"id":${id}}`;
      const body = `{"data":${data},"lease_duration":60}`;
      return Promise.resolve({ statusCode: 200, headers: {}, body, address: '' });
    },
    close: () => Promise.resolve(),
  };
  const clock = new VirtualClock();
  const options = { address: 'http://vault.test', auth: token('t') };
  const { connection } = await live(options, undefined, { clock, transport });
  expect((await connection.client.read('kv1/app')).data.reveal()).toEqual({ id });
  expect((await connection.secrets.read('app', {})).data.reveal()).toEqual({ id });
  expect(new Secret({ id })).toEqual(new Secret({ id }));
  expect(new Secret({ id })).not.toEqual(new Secret({ id: id + 1n }));
  const seen: unknown[] = [];
  const watched = { mount: 'kv1', kvVersion: 1 as const, every: 1_000 };
  connection.secrets.watch('app', watched).subscribe(({ data }) => seen.push(data.reveal()));
  await clock.advance(5_000);
  // Equal as numbers.
  id += 1n;
  await clock.advance(5_000);
  expect(seen).toEqual([{ id: ID }, { id: ID + 1n }]);
  await clock.until(connection.close());
});
