import { inspect } from 'node:util';
import 'reflect-metadata';
import { type } from 'arktype';
import { Type } from 'class-transformer';
import { IsInt, IsString, MinLength, ValidateNested } from 'class-validator';
import * as v from 'valibot';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import type { VaultError } from '../../../lib/errors/vault-error.js';
import { Secret } from '../../../lib/secret/secret.js';
import { applySchema } from '../../../lib/schema/apply-schema.js';
import { isSchema, type SchemaOutput, type SecretSchema } from '../../../lib/schema/schema.js';

class Broker {
  @IsString() host!: string;
  @IsInt({ message: 'the port is not $value, but a whole number' }) port!: number;
}

class Payments {
  @MinLength(20, { message: 'too short: $value' }) apiKey!: string;
  @ValidateNested() @Type(() => Broker) broker!: Broker;
}

const SCHEMAS = {
  zod: z.object({
    apiKey: z.string().min(20),
    broker: z.object({ host: z.string(), port: z.number() }),
  }),
  valibot: v.object({
    apiKey: v.pipe(v.string(), v.minLength(20)),
    broker: v.object({ host: v.string(), port: v.number() }),
  }),
  arktype: type({ apiKey: 'string>=20', broker: { host: 'string', port: 'number' } }),
  'class-validator': Payments,
} satisfies Record<string, SecretSchema<{ apiKey: string; broker: { host: string; port: number } }>>;

const VALID = { apiKey: 'an-api-key-of-some-length', broker: { host: 'mq', port: 5672 } };
const CANARY = 'cAnArY"7f\n3';
const INVALID = { apiKey: CANARY, broker: { port: `${CANARY}5672` } };

async function failureOf(promise: Promise<unknown>): Promise<VaultError> {
  return promise.then(
    () => expect.fail('it was accepted'),
    (error: unknown) => error as VaultError,
  );
}

/** All that a log could show of an error. */
const shown = (error: VaultError) =>
  [error.message, error.hint, inspect(error, { depth: 9 }), JSON.stringify(error)].join();

describe.each(Object.entries(SCHEMAS))('%s', (name, schema: SecretSchema) => {
  it('returns its output', async () => {
    const output = await applySchema(schema, VALID, 'secret "app"');
    expect(output).toEqual(VALID);
    if (name === 'class-validator') expect((output as Payments).broker).toBeInstanceOf(Broker);
  });

  it('names the keys and what is wrong with them, and nothing of the values', async () => {
    const error = await failureOf(applySchema(schema, INVALID, 'secret "app"', 'secret/data/app'));
    expect(error).toMatchObject({ code: 'VAULT_SECRET_INVALID', path: 'secret/data/app' });
    expect(error.message).toContain('The secret "app" does not match its schema: ');
    for (const key of ['apiKey', 'broker.host', 'broker.port']) expect(error.message).toContain(`${key}: `);
    expect(shown(error).toLowerCase()).not.toMatch(/canary|7f|5672/);
  });
});

it('shows messages that quote nothing, and otherwise what was expected', async () => {
  const texts: Record<string, string> = {};
  for (const [name, schema] of Object.entries(SCHEMAS)) {
    const { message } = await failureOf(applySchema(schema as SecretSchema, INVALID, 'secret "app"'));
    texts[name] = message.slice(message.indexOf('schema: ') + 8, message.indexOf('. ['));
  }
  expect(texts).toEqual({
    zod:
      'apiKey: Too small: expected string to have >=20 characters; ' +
      'broker.host: Invalid input: expected string, received undefined; ' +
      'broker.port: Invalid input: expected number, received string',
    valibot:
      'apiKey: expected >=20, found a string; broker.host: expected "host", found nothing; ' +
      'broker.port: expected number, found a string',
    arktype:
      'apiKey: expected at least length 20, found a string; ' +
      'broker.host: expected a string, found nothing; broker.port: expected a number, found a string',
    'class-validator':
      'apiKey: not valid, found a string; broker.host: host must be a string; broker.port: not valid, found a string',
  });
});

it('does not show a value that was transformed before it was refused', async () => {
  const encoded = Buffer.from(JSON.stringify({ CANARYKEY: 'CANARYVALUE' })).toString('base64');
  const decode = (text: string) => JSON.parse(Buffer.from(text, 'base64').toString()) as unknown;
  const schemas: SecretSchema[] = [
    v.object({ config: v.pipe(v.string(), v.transform(decode), v.record(v.string(), v.number())) }),
    type({
      config: type('string')
        .pipe(decode)
        .pipe(type({ '[string]': 'number' })),
    }),
    z.object({ config: z.string().transform(decode).pipe(z.record(z.string(), z.number())) }),
  ];
  for (const schema of schemas) {
    const error = await failureOf(applySchema(schema, { config: encoded }, 'secret "app"'));
    expect(error.code).toBe('VAULT_SECRET_INVALID');
    expect(error.message).toContain('config');
    expect(shown(error)).not.toContain('CANARYVALUE');
  }
});

it('does not show a short value, a number, or a message that a member of the issue quotes', async () => {
  const refuse = (issue: object): SecretSchema => ({
    '~standard': { version: 1, vendor: 'own', validate: () => ({ issues: [issue as { message: string }] }) },
  });
  const data = { pin: 4711, code: 'x9', ok: true };
  for (const message of ['was 4711', 'pin "4711" is bad', 'code=x9', 'not TRUE']) {
    const { message: text } = await failureOf(applySchema(refuse({ message }), data, 'secret "app"'));
    expect(text).toContain('the value: not valid, found an object. [');
  }
  for (const message of ['at least 14711 of them', 'axx9'])
    expect((await failureOf(applySchema(refuse({ message }), data, 'secret "app"'))).message).toContain(
      message,
    );
  const derived = { message: 'was "CANARY"', input: { deep: ['CANARY'] }, expected: 'a name' };
  expect((await failureOf(applySchema(refuse(derived), data, 'secret "app"'))).message).toContain(
    'the value: expected a name, found an object',
  );
});

const ESCAPED = [
  'q"w3\\e"r5\\t"9z\\p"L',
  'pin1\npin2\n4711\n',
  'a\tb\tc\td1\te2',
  JSON.stringify({ pin: '4711', k: 'ab12', u: 'joe' }),
  JSON.stringify(JSON.stringify({ pin: '4711', k: 'ab12' })),
  '\u00e9\u00e8\u0007\u00ea\u001b\u00eb\u0000\u00e9\u2028x',
  'C:\\new\\tab\\u00e9',
  'a"b',
  '9\n',
  '!"\\"!"\\"!',
  4711,
  -1.5e-7,
  true,
  encodeURIComponent('a"b c/d?\u00e9&pin'),
  Buffer.from('user:p"ss').toString('base64'),
];

/** Texts in which a message may show a value. */
const QUOTED: Record<string, (text: string) => string> = {
  raw: (text) => text,
  json: (text) => JSON.stringify(text),
  'json in json': (text) => JSON.stringify(JSON.stringify(text)),
  inspect: (text) => inspect(text),
  ascii: (text) =>
    text.replace(/[^a-z0-9]/gi, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`),
  url: (text) => encodeURIComponent(text),
  base64: (text) => Buffer.from(text).toString('base64'),
  'base64 decoded': (text) => (/^\w{8,}=*$/.test(text) ? Buffer.from(text, 'base64').toString() : text),
  hex: (text) => Buffer.from(text).toString('hex'),
};

it.each(Object.entries(QUOTED))('does not show a value in its form: %s', async (_form, quote) => {
  for (const value of ESCAPED) {
    const issue = {
      path: ['a'],
      message: `must be a name (was ${quote(String(value))})`,
      expected: 'a name',
    };
    const own: SecretSchema = {
      '~standard': { version: 1, vendor: 'own', validate: () => ({ issues: [issue] }) },
    };
    const { message } = await failureOf(applySchema(own, { a: value }, 'secret "app"'));
    expect(message, String(value)).toMatch(/schema: a: expected a name, found a \w+\./);
  }
});

it('does not show an escaped value in the messages of validators, or in what they expected', async () => {
  const schemas: SecretSchema[] = [
    type({ a: 'string.email' }),
    type({ a: "'x'|'y'" }),
    type({ a: 'string > 500' }),
    type({ a: 'string.email & string > 500' }),
    type({ a: "number > 9000 | 'x' | string.numeric" }),
    v.object({ a: v.pipe(v.string(), v.email()) }),
    v.object({ a: v.picklist(['x', 'y']) }),
    z.object({ a: z.enum(['x', 'y']) }),
  ];
  for (const schema of schemas)
    for (const value of ESCAPED) {
      const { message } = await failureOf(applySchema(schema, { a: value }, 'secret "app"'));
      expect(message).not.toContain('(was ');
      expect(message).not.toMatch(/4711|ab12|w3|pin|received "/);
    }
});

it('runs a schema that answers with a promise', async () => {
  const schema = z.object({ n: z.number().refine(async (n) => Promise.resolve(n > 1), 'too small') });
  expect(await applySchema(schema, { n: 2 }, 'secret "app"')).toEqual({ n: 2 });
  const error = await failureOf(applySchema(schema, { n: 1 }, 'secret "app"'));
  expect(error.message).toContain('n: too small.');
});

it('gives the schema the value of a Secret, and refuses what cannot be copied without its text', async () => {
  const schema = z.object({ list: z.array(z.string()) });
  const data = { list: ['a', new Secret('b')] };
  expect(await applySchema(schema, new Secret(data), 'configuration')).toEqual({ list: ['a', 'b'] });
  const refused = [async () => Promise.resolve(CANARY), Promise.resolve(CANARY), { member: () => 'CANARY' }];
  for (const one of refused) {
    const error = await failureOf(applySchema(schema, { list: one }, 'configuration'));
    expect(error).toMatchObject({ code: 'VAULT_CONFIG_INVALID' });
    expect(shown(error)).not.toMatch(/canary|=>/i);
  }
});

it.each([
  ['a text', CANARY, 'a string'],
  ['null', null, 'null'],
  ['a number', 5, 'a number'],
  ['an array', [{ apiKey: CANARY }], 'an array'],
])('a class refuses %s as data, not as an error of the schema', async (_name, data, kind) => {
  const error = await failureOf(applySchema(Payments, data, 'secret "app"'));
  expect(error).toMatchObject({ code: 'VAULT_SECRET_INVALID' });
  expect(error.message).toContain(`the value: expected an object, found ${kind}.`);
});

it('gives the schema a copy', async () => {
  const data = { host: 'mq', list: [1] };
  const greedy: SecretSchema<typeof data> = {
    '~standard': {
      version: 1,
      vendor: 'own',
      validate: (value) => {
        (value as typeof data).list.length = 0;
        return { value: value as typeof data };
      },
    },
  };
  expect(await applySchema(greedy, data, 'secret "app"')).toEqual({ host: 'mq', list: [] });
  expect(data.list).toEqual([1]);
});

it('reports at most ten issues', async () => {
  const keys = Array.from({ length: 30 }, (_, index) => `key${index}`);
  const schema = z.object(Object.fromEntries(keys.map((key) => [key, z.string()])));
  const { message } = await failureOf(applySchema(schema, {}, 'secret "app"'));
  expect(message).toContain('key9: ');
  expect(message).not.toContain('key10');
  expect(message).toContain('; and 20 more.');
});

it.each([
  [
    'throws',
    () => {
      throw new TypeError(CANARY);
    },
    'threw TypeError',
  ],
  ['rejects', () => Promise.reject(new Error(CANARY)), 'threw Error'],
  ['returns nothing', () => undefined, 'returned no result'],
  ['returns a text as issues', () => ({ issues: CANARY }), 'returned issues that are no array'],
  ['has an issue that cannot be read', () => ({ issues: [null] }), 'threw TypeError'],
])('a schema that %s is an error of the schema', async (_name, validate: () => unknown, problem) => {
  const schema = { '~standard': { version: 1, vendor: 'own', validate } } as unknown as SecretSchema;
  const error = await failureOf(applySchema(schema, INVALID, 'secret "app"', 'secret/data/app'));
  expect(error).toMatchObject({ code: 'VAULT_EXTENSION_INVALID', path: 'secret/data/app' });
  expect(error.message).toContain(`The schema of the secret "app" ${problem}.`);
  expect(shown(error)).not.toContain(CANARY);
});

it('knows schemas and classes from other values', () => {
  for (const schema of Object.values(SCHEMAS)) expect(isSchema(schema)).toBe(true);
  for (const other of [undefined, null, {}, 'x', () => 1, { '~standard': {} }])
    expect(isSchema(other)).toBe(false);
});

it('has the types of the output', () => {
  const parsed = z.object({ n: z.string().transform(Number) });
  expectTypeOf<SchemaOutput<typeof parsed>>().toEqualTypeOf<{ n: number }>();
  expectTypeOf<SchemaOutput<typeof SCHEMAS.arktype>['apiKey']>().toEqualTypeOf<string>();
  expectTypeOf<SchemaOutput<typeof Payments>>().toEqualTypeOf<Payments>();
  expectTypeOf(applySchema<typeof parsed>).returns.resolves.toEqualTypeOf<{ n: number }>();
});
