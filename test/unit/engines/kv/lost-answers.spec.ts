import { expect, it } from 'vitest';
import { appRole } from '../../../../lib/auth/app-role.js';
import { KV_CALLS } from '../../../../lib/engines/kv/kv-calls.js';
import type { Sender, TransportResponse } from '../../../../lib/client/transport.types.js';
import type { StaticSecrets } from '../../../../lib/engines/static-secrets.js';
import type { SimulatedVault } from '../../../../lib/testing/index.js';
import { live } from '../../../conformance/life.js';
import { failureOf } from '../../../support/leaks.js';
import { read } from '../../../support/pages.mjs';
import { after, lose, POLICY, world } from './kv-world.js';

/** A way to make each request of KV. */
const MAKE: Readonly<Record<keyof typeof KV_CALLS, (kv: StaticSecrets) => Promise<unknown>>> = {
  read: (kv) => kv.read('app'),
  list: (kv) => kv.list('/'),
  write: (kv) => kv.write('app', { n: 3 }),
  writeWithCas: (kv) => kv.write('app', { n: 3 }, { cas: 2 }),
  patch: (kv) => kv.patch('app', { n: 3 }),
  patchWithCas: (kv) => kv.patch('app', { n: 3, m: null }, { cas: 2 }),
  deleteLatest: (kv) => kv.delete('app'),
  deleteVersions: (kv) => kv.delete('app', { versions: [1] }),
  undelete: (kv) => kv.undelete('app', [1]),
  destroy: (kv) => kv.destroy('app', [1]),
  metadata: (kv) => kv.metadata('app'),
  writeMetadata: (kv) => kv.writeMetadata('app', { maxVersions: 5 }),
  deleteMetadata: (kv) => kv.deleteMetadata('app'),
  subkeys: (kv) => kv.subkeys('app'),
};
const CALLS = Object.keys(MAKE) as (keyof typeof KV_CALLS)[];
/** Requests in which the server may have executed a call, in spite of the answer. */
const LOSSES: Readonly<Record<string, (vault: SimulatedVault) => unknown>> = {
  'is executed, and its answer lost': (vault) => vault.dropResponse(),
  'fails with 500': (vault) => vault.answer(500, { errors: ['internal error'] }),
  'fails with a storage that does not answer': (vault) =>
    vault.answer(500, { errors: ['dial tcp: connection refused'] }),
  'is answered by a gateway': (vault) => vault.answer(502, '<html>', 1, { 'content-type': 'text/html' }),
};

it.each(CALLS)('%s: a request that was not executed is sent again', async (name) => {
  for (const fault of [
    (vault: SimulatedVault) => vault.cut(),
    (vault: SimulatedVault) => vault.answer(503, { errors: ['Vault is sealed'] }),
    (vault: SimulatedVault) => vault.answer(429, { errors: ['rate limit quota exceeded'] }),
  ]) {
    const { vault, kv, until } = await world();
    fault(vault);
    await until(MAKE[name](kv));
  }
});

it.each(CALLS.flatMap((name) => Object.keys(LOSSES).map((loss) => [name, loss] as const)))(
  '%s: a request that %s is handled as the table says',
  async (name, loss) => {
    const { method, part, afterLostAnswer } = KV_CALLS[name];
    const { vault, kv, until, sent, currentVersion } = await world();
    LOSSES[loss]?.(vault);
    const work = MAKE[name](kv);
    if (afterLostAnswer === 'not repeated') {
      const error = await failureOf(until(work));
      expect(error).toMatchObject({ path: `secret/${part}/app`, outcomeUnknown: true });
      expect(sent(method)).toBe(1);
    } else {
      await until(work);
      expect(sent(method)).toBe(2);
    }
    if (name.endsWith('WithCas')) expect(await currentVersion()).toBe(3);
  },
);

it('docs/kv.md has the same table', () => {
  const { length } = Object.keys(KV_CALLS);
  const cell = / *`([^|]+)` *\|/.source;
  const row = new RegExp(String.raw`^\|.+?\|${cell}${cell} *([a-z ]+?) *\|$`, 'gm');
  const rows = [...read('docs/kv.md').matchAll(row)].map(([, request, capabilities, after]) =>
    [request?.replace(/\/.*/, ''), capabilities?.replaceAll('`', ''), after].join(' | '),
  );
  const wanted = Object.values(KV_CALLS).map(({ method, part, capabilities, afterLostAnswer }) =>
    [`${method} ${part}`, capabilities.join(', '), afterLostAnswer].join(' | '),
  );
  expect(rows).toHaveLength(length);
  expect(rows.sort()).toEqual(wanted.sort());
});

it.each([
  ['write', (kv: StaticSecrets) => kv.write('app', { n: 3 }, { cas: 2 })],
  ['patch', (kv: StaticSecrets) => kv.patch('app', { n: 3 }, { cas: 2 })],
])('%s with cas: another writer came first, so the repetition is a conflict', async (_name, call) => {
  const one = await world();
  lose(one.vault);
  const work = after(one, call(one.kv), () => one.vault.kv().put('app', { n: 7 }));
  expect(await failureOf(work)).toMatchObject({ code: 'VAULT_CAS_CONFLICT', version: 3 });
  expect(await one.data()).toEqual({ n: 7 });
});

it.each<[string, string, (vault: SimulatedVault) => void]>([
  ['the version was deleted meanwhile', POLICY, (vault) => vault.kv().delete('app')],
  [
    'the secret may not be read',
    'path "secret/data/*" { capabilities = ["create", "update"] } path "secret/metadata/*" { capabilities = ["read"] }',
    () => undefined,
  ],
])('write with cas: the outcome stays unknown if %s', async (_what, policy, meanwhile) => {
  const one = await world(policy);
  one.vault.dropResponse();
  const work = after(one, one.kv.write('app', { n: 3 }, { cas: 2 }), () => meanwhile(one.vault));
  const error = await failureOf(work);
  expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE', outcomeUnknown: true, path: 'secret/data/app' });
  expect(await one.currentVersion()).toBe(3);
  expect(one.sent('POST')).toBe(2);
});

it('write with cas: an outage during the look at the version is waited for', async () => {
  const one = await world();
  one.vault.dropResponse();
  const work = after(one, one.kv.write('app', { n: 3 }, { cas: 2 }), () =>
    one.vault.cut({ times: 2, match: /GET/ }),
  );
  expect(await work).toMatchObject({ version: 3 });
  expect(await one.currentVersion()).toBe(3);
});

it.each(['writeWithCas', 'deleteVersions', 'writeMetadata'] as const)(
  '%s: after a lost answer, the error of an outage says that it may have been executed',
  async (name) => {
    const { vault, kv, until } = await world();
    vault.dropResponse();
    const work = MAKE[name](kv);
    vault.cut({ times: Infinity });
    const error = await failureOf(until(work));
    expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE', outcomeUnknown: true });
  },
);

it('a request that was never executed is not said to be', async () => {
  const { vault, kv, until } = await world();
  vault.cut({ times: Infinity });
  const error = await failureOf(until(kv.delete('app', { versions: [1] })));
  expect(error.code).toBe('VAULT_UNREACHABLE');
  expect(error).not.toHaveProperty('outcomeUnknown');
});

it('update: a cache that has an old version is passed', async () => {
  const { vault, clock, kv, until } = await world();
  const { roleId, secretId } = vault.appRole('cached', { policies: ['app'] });
  const kept = new Map<string, Promise<TransportResponse>>();
  const server = vault.transport();
  const transport: Sender = {
    send(request) {
      if (request.method !== 'GET' || request.headers['cache-control'] === 'no-cache')
        return server.send(request);
      if (!kept.has(request.path)) kept.set(request.path, server.send(request));
      return kept.get(request.path)!;
    },
    close: () => server.close(),
  };
  const auth = appRole({ roleId, secretId: secretId() });
  const { connection } = await until(
    live({ address: 'http://vault.test', auth }, undefined, { clock, transport }),
  );
  const cached = connection.secrets;
  await until(cached.read('app'));
  await until(kv.write('app', { n: 5 }));
  expect((await until(cached.read('app'))).version).toBe(2);
  expect(await failureOf(until(cached.write('app', {}, { cas: 2 })))).toMatchObject({ version: 3 });
  await until(cached.update('app', (current) => ({ ...current?.data.reveal(), m: 1 })));
  expect((await until(kv.read('app'))).data.reveal()).toEqual({ n: 5, m: 1 });
});

it('update: a change that is in the secret was made', async () => {
  const one = await world();
  one.vault.dropResponse({ times: 1, match: /POST/ });
  const change = () => ({ n: 3 });
  expect(await one.until(one.kv.update('app', change))).toMatchObject({ version: 3 });
  expect(await one.currentVersion()).toBe(3);
});

it('update: a change that adds to the secret is not made twice; its outcome is unknown', async () => {
  const one = await world();
  one.vault.dropResponse({ times: 1, match: /POST/ });
  const count = one.kv.update<{ n: number }>('app', (current) => ({
    n: (current?.data.reveal().n ?? 0) + 1,
  }));
  const error = await failureOf(one.until(count));
  expect(error).toMatchObject({ code: 'VAULT_UNREACHABLE', outcomeUnknown: true });
  expect(error.message).toContain('Version 3 has the same data');
  expect(await one.data()).toEqual({ n: 3 });
});

it('update: a write that was lost, and not executed, is made after that of another writer', async () => {
  const one = await world();
  one.vault.answer(502, '<html>', { times: 1, match: /POST/ }, { 'content-type': 'text/html' });
  const count = one.kv.update<{ n: number }>('app', (current) => ({
    n: (current?.data.reveal().n ?? 0) + 1,
  }));
  expect(await after(one, count, () => one.vault.kv().put('app', { n: 10 }))).toMatchObject({ version: 4 });
  expect(await one.data()).toEqual({ n: 11 });
});

it('update: gives up after 30 conflicts, with the current version, in bounded time', async () => {
  const one = await world();
  let attempts = 0;
  const began = one.clock.monotonic();
  const never = one.kv.update('app', () => {
    attempts++;
    one.vault.kv().put('app', { n: attempts });
    return { n: -1 };
  });
  const error = await failureOf(one.until(never));
  expect(error).toMatchObject({ code: 'VAULT_CAS_CONFLICT', version: 32 });
  expect(error.message).toContain('30 attempts');
  expect(attempts).toBe(30);
  expect(one.clock.monotonic() - began).toBeLessThan(300_000);
  expect(await one.data()).toEqual({ n: 30 });
});

it('update: the shutdown ends the wait after a conflict', async () => {
  const one = await world();
  const update = one.kv.update('app', () => {
    one.vault.kv().put('app', { n: 5 });
    return { n: -1 };
  });
  const failed = failureOf(update);
  await one.clock.advance(0);
  await one.until(one.connection.close());
  expect((await one.until(failed)).code).toBe('VAULT_CLOSED');
});
