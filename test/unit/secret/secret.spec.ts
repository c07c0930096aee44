import assert from 'node:assert/strict';
import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { format, formatWithOptions, inspect } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { ConsoleLogger } from '@nestjs/common';
import { expect, it, vi } from 'vitest';
import { isSecret, Secret } from '../../../lib/secret/secret.js';
import { expectNoLeak } from '../../support/leaks.js';

const CANARY = 'canary-7f3a91d2';
const secret = () => new Secret(CANARY);

it('is accessible through reveal() only', () => {
  expect(secret().reveal()).toBe(CANARY);
  const data = { password: CANARY };
  expect(new Secret(data).reveal()).toBe(data);
});

it.each<[string, (value: Secret) => unknown]>([
  ['String()', (value) => String(value)],
  ['a template string', (value) => `${value as unknown as string}`],
  ['concatenation', (value) => 'a ' + (value as unknown as string)],
  ['toString()', (value) => value.toString()],
  ['toLocaleString()', (value) => Object.prototype.toLocaleString.call(value)],
  ['Number()', (value) => Number(value)],
  ['a date', (value) => String(new Date(value as unknown as string))],
  ['JSON', (value) => JSON.stringify({ value, list: [value] })],
  ['JSON of its own properties', (value) => JSON.stringify(value, Object.getOwnPropertyNames(value))],
  ['inspect', (value) => inspect(value)],
  ['inspect of all', (value) => inspect(value, { showHidden: true, depth: Infinity, getters: true })],
  [
    'inspect without custom functions',
    (value) => inspect(value, { customInspect: false, showHidden: true, showProxy: true, getters: true }),
  ],
  ['inspect of what holds it', (value) => inspect({ a: [new Map([[value, value]])], s: new Set([value]) })],
  ['format %s', (value) => format('%s', value)],
  ['format %o', (value) => format('%o', value)],
  ['format %O', (value) => format('%O', value)],
  ['format %j', (value) => format('%j', value)],
  ['format %d %i %f %c', (value) => format('%d %i %f %c', value, value, value, value)],
  ['format with colours', (value) => formatWithOptions({ colors: true }, '%O', value)],
  ['keys', (value) => Object.keys(value)],
  ['entries', (value) => Object.entries(value)],
  ['own names and symbols', (value) => Reflect.ownKeys(value).map(String)],
  [
    'for in',
    (value) =>
      Array.from(
        (function* () {
          for (const key in value) yield key;
        })(),
      ),
  ],
  // oxlint-disable-next-line typescript/no-misused-spread
  ['spread', (value) => ({ ...value })],
  ['assign', (value) => Object.assign({}, value)],
  ['own descriptors', (value) => Object.getOwnPropertyDescriptors(value)],
  ['structuredClone', (value) => structuredClone(value)],
  ['v8.serialize', (value) => serialize(value).toString('latin1')],
  ['v8.deserialize', (value) => deserialize(serialize(value)) as unknown],
  ['an error cause', (value) => new Error('failed', { cause: value })],
  ['an aggregate of errors', (value) => new AggregateError([value], 'failed')],
])('%s shows nothing of the value', (_name, show) => {
  for (const value of [secret(), new Secret({ password: CANARY }) as unknown as Secret]) {
    const shown = show(value);
    expectNoLeak(shown, [CANARY]);
    expect(inspect(shown, { showHidden: true, depth: 10 })).not.toContain(CANARY);
  }
});

it('shows that a value was redacted', () => {
  for (const text of [String(secret()), inspect(secret()), format('%s %j', secret(), secret())]) {
    expect(text).toContain('[redacted]');
  }
  expect(JSON.stringify({ a: secret() })).toBe('{"a":"[redacted]"}');
});

function capture(): { text: () => string; stream: Writable } {
  let text = '';
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      text += chunk.toString();
      done();
    },
  });
  return { text: () => text, stream };
}

it('console.log, dir, table and error show nothing of the value', () => {
  const { text, stream } = capture();
  const console = new Console({ stdout: stream, stderr: stream });
  const value = secret();
  console.log(value, { value }, [value], 'x %s %o', value, value);
  console.dir({ value }, { showHidden: true, depth: 9 });
  console.table([{ value }]);
  console.error(new Error('failed', { cause: value }));
  console.assert(false, value as unknown as string);
  expect(text()).toContain('[redacted]');
  expect(text()).not.toContain(CANARY);
});

it.each([{ json: false }, { json: true, colors: false }, { colors: true, compact: false }])(
  'the logger of Nest (%o) shows nothing of the value',
  (options) => {
    const { text, stream } = capture();
    const write = (chunk: string | Uint8Array) => stream.write(chunk);
    const out = vi.spyOn(process.stdout, 'write').mockImplementation(write);
    const err = vi.spyOn(process.stderr, 'write').mockImplementation(write);
    try {
      const logger = new ConsoleLogger('test', options);
      const value = secret();
      logger.log(value);
      logger.log({ value, nested: { list: [value] } });
      logger.error('failed', new Error('x', { cause: value }).stack, 'context');
      logger.error(new Error('x', { cause: value }));
      logger.warn(value, value);
      logger.log(new Map([[value, value]]));
    } finally {
      out.mockRestore();
      err.mockRestore();
    }
    expect(text()).toContain('[redacted]');
    expect(text()).not.toContain(CANARY);
  },
);

it('cannot be changed, and a subclass prints no more', () => {
  const value = secret();
  expect(() => Object.assign(value, { reveal: () => 'other' })).toThrow(TypeError);
  class Named extends Secret {}
  expectNoLeak(new Named(CANARY), [CANARY]);
  expect(inspect(new Named(CANARY), { showHidden: true })).toBe('[redacted]');
});

it('is recognised across copies of the package, and nothing else is', async () => {
  vi.resetModules();
  const other = await import('../../../lib/secret/secret.js');
  expect(other.Secret).not.toBe(Secret);
  expect(isSecret(new other.Secret(CANARY))).toBe(true);
  expect(other.isSecret(secret())).toBe(true);
  for (const no of [undefined, null, CANARY, {}, { reveal: () => CANARY }, () => CANARY]) {
    expect(isSecret(no)).toBe(false);
  }
});

it.each<[string, unknown, unknown]>([
  ['texts', CANARY, 'canary-another'],
  ['objects', { password: CANARY }, { password: 'canary-another' }],
  ['objects with another member', { password: CANARY }, { password: CANARY, more: undefined, one: 1 }],
  ['a text and what it looks like', '1', 1],
  ['nothing and an empty text', undefined, ''],
  ['an object and its members', { a: 1 }, [['a', 1]]],
])('assertions distinguish %s, and show neither', (_what, one, other) => {
  const differ = { one: new Secret(one), other: new Secret(other) };
  expect(differ.one).not.toEqual(differ.other);
  expect({ secret: differ.one }).not.toStrictEqual({ secret: differ.other });
  assert.notDeepEqual(differ.one, differ.other);
  const shown = [
    () => expect(differ.one).toEqual(differ.other),
    () => expect([differ.one]).toStrictEqual([differ.other]),
    () => assert.deepEqual({ secret: differ.one }, { secret: differ.other }),
  ].map((fails) => {
    try {
      fails();
    } catch (error) {
      return `${inspect(error, { depth: 9, showHidden: true })} ${JSON.stringify(error)}`;
    }
    throw new Error('Two different secrets are equal.');
  });
  expectNoLeak(shown.join(' '), [CANARY, 'canary-another']);
});

it('assertions treat equal values as equal, for any order of their members', () => {
  expect(secret()).toEqual(secret());
  expect(new Secret({ a: 1, b: { c: 2, d: 3 } })).toStrictEqual(new Secret({ b: { d: 3, c: 2 }, a: 1 }));
  assert.deepEqual(new Secret([1, 'a', null]), new Secret([1, 'a', null]));
});
