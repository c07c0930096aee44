import { expect, it } from 'vitest';
import { appRole, Secret } from '../../../lib/index.js';
import { SimulatedVault } from '../../../lib/testing/index.js';
import { live } from '../../conformance/life.js';
import { expectNoLeak, failureOf } from '../../support/leaks.js';

const CANARY = 'canary-in-the-body';

function cyclic(): object {
  const one: Record<string, unknown> = { [CANARY]: CANARY };
  one['self'] = one;
  return one;
}

class Hidden {
  readonly #key = CANARY;

  get key(): string {
    return this.#key;
  }
}

async function connected() {
  const vault = new SimulatedVault();
  const { roleId, secretId } = vault.appRole('app', { tokenNumUses: 3 });
  const auth = appRole({ roleId, secretId: secretId() });
  const { connection } = await live({ address: 'http://vault.test', auth }, undefined, {
    transport: vault.transport(),
  });
  vault.clearHistory();
  return { vault, connection };
}

it.each<[string, unknown, RegExp?]>([
  ['a BigInt', { data: { key: 10n } }],
  ['a cycle', cyclic()],
  ['a function', () => CANARY],
  ['a symbol', Symbol(CANARY)],
  [
    'a toJSON that throws',
    {
      toJSON() {
        throw new RangeError(CANARY);
      },
    },
  ],
  ['NaN', { data: { key: NaN } }, /NaN/],
  ['an integer above 2^53', { data: { list: [2 ** 53 + 2] } }, /2\^53/],
  ['a negative one', { data: { key: -(2 ** 60) } }, /2\^53/],
  ['a function within', { data: { key: () => CANARY } }, /a function/],
  ['a symbol within', { data: { key: Symbol(CANARY) } }, /a symbol/],
  ['a Map', { data: { key: new Map([[CANARY, 1]]) } }, /a Map/],
  ['a Set', { data: new Set([CANARY]) }, /a Set/],
  ['bytes', { data: { key: Buffer.from(CANARY) } }, /base64/],
  ['a promise', { data: { key: Promise.resolve(CANARY) } }, /await/],
  ['a promise with members', { data: Object.assign(Promise.resolve(), { rows: CANARY }) }, /await/],
  ['an async toJSON', { data: { toJSON: async () => CANARY } }, /await/],
  ['an error', { data: { cause: Object.assign(new Error(CANARY), { code: 1 }) } }, /plain object/],
  ['a regular expression', { data: { key: /canary/ } }, /plain object/],
  ['an ArrayBuffer', { data: { key: new ArrayBuffer(8) } }, /plain object/],
  ['URLSearchParams', { data: new URLSearchParams({ key: CANARY }) }, /plain object/],
  ['an object with private members only', { data: new Hidden() }, /plain object/],
  ['an invalid Date', { data: { expires: new Date(NaN) } }, /invalid Date/],
  // The server would store its printed form.
  ['a Secret', { data: { password: new Secret(CANARY) } }, /reveal\(\)/],
])('%s is refused with a hint, before any request', async (_what, body, remedy = /BigInt/) => {
  const { vault, connection } = await connected();
  for (const send of [
    () => connection.client.write('secret/data/app', body),
    () => connection.client.request({ method: 'PATCH', path: 'secret/data/app', body }),
  ]) {
    const error = await failureOf(send());
    expect(error).toMatchObject({ code: 'VAULT_REQUEST_INVALID', path: 'secret/data/app' });
    expect(error.status).toBeUndefined();
    expect(error.hint).toMatch(remedy);
    expectNoLeak(error, [CANARY]);
  }
  expect(vault.history).toEqual([]);
  // It took none of the token's three uses.
  for (const key of ['1', '2']) await connection.client.write(`secret/data/${key}`, { data: {} });
  expect(vault.count(/login/)).toBe(0);
  await connection.close();
});

it.each<[string, object, RegExp]>([
  ['a promise in place of the data', Promise.resolve({ key: CANARY }), /await/],
  ['a promise within', { key: Promise.resolve(CANARY) }, /await/],
  ['a Secret of a promise', { key: new Secret(Promise.resolve(CANARY)) }, /await/],
  ['a Secret of an invalid Date', { expires: new Secret(new Date(NaN)) }, /invalid Date/],
  ['an object with private members only', new Hidden(), /plain object/],
  ['an integer that the server would round', { key: 2n ** 53n + 1n }, /by `patch`/],
])('KV: %s is refused, so that no secret is replaced by an empty one', async (_what, data, remedy) => {
  const { vault, connection } = await connected();
  const { secrets } = connection;
  for (const send of [
    () => secrets.write('app', data),
    () => secrets.write('app', data, { cas: 0 }),
    () => secrets.patch('app', data),
    () => secrets.update('app', () => ({ data })),
  ]) {
    const error = await failureOf(send());
    expect(error.code).toBe('VAULT_REQUEST_INVALID');
    expect(error.hint).toMatch(remedy);
    expectNoLeak(error, [CANARY]);
  }
  expect(vault.history.filter(({ method }) => method !== 'GET')).toEqual([]);
  await connection.close();
});

it('an instance of a class is sent with its own members', async () => {
  const { connection } = await connected();
  const data = Object.assign(new Hidden(), { user: 'app', since: new Date(0), none: null, empty: {} });
  await connection.secrets.write('app', data);
  expect((await connection.secrets.read('app')).data.reveal()).toEqual({
    user: 'app',
    since: '1970-01-01T00:00:00.000Z',
    none: null,
    empty: {},
  });
  await connection.close();
});

it('a JSON body arrives unchanged', async () => {
  const { vault, connection } = await connected();
  const data = {
    text: 'ä\n"',
    date: new Date(0),
    none: undefined,
    list: [1, null, true],
    large: 2 ** 53 - 1,
    part: 0.1,
  };
  await connection.client.write('secret/data/app', { data });
  const { data: read } = await connection.client.read<{ data: object }>('secret/data/app');
  expect(read.reveal().data).toEqual({
    text: 'ä\n"',
    date: '1970-01-01T00:00:00.000Z',
    list: [1, null, true],
    large: 2 ** 53 - 1,
    part: 0.1,
  });
  expect(vault.requests(/secret/).map(({ status }) => status)).toEqual([200, 200]);
  await connection.close();
});
