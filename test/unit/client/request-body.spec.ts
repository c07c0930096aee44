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
