import { expect, it } from 'vitest';
import type { Sender } from '../../../../lib/client/transport.types.js';
import { failureOf } from '../../../support/leaks.js';
import { after, lose, POLICY, world } from './kv-world.js';

/** A server that repeats its first answer to a read of the latest version, as one that lags behind its leader. */
function lagging(server: Sender): Sender {
  let first: ReturnType<Sender['send']> | undefined;
  return {
    send: (request) =>
      request.method === 'GET' && request.path.endsWith('/data/app')
        ? (first ??= server.send(request))
        : server.send(request),
    close: () => server.close(),
  };
}

/** Answers 500 to the requests to the path of `app` whose number, by method, is given; the server executes them. */
function failing(method: string, numbers: (number: number) => boolean): (server: Sender) => Sender {
  let number = 0;
  return (server) => ({
    async send(request) {
      const answer = await server.send(request);
      if (request.method !== method || !request.path.endsWith('/data/app') || !numbers(++number))
        return answer;
      return { ...answer, statusCode: 500, body: '{"errors":["internal error"]}' };
    },
    close: () => server.close(),
  });
}

it('destroy: a version that was created meanwhile is not destroyed by a repetition', async () => {
  const one = await world();
  one.vault.dropResponse({ times: 1, match: /destroy/ });
  const work = after(one, one.kv.destroy('app', [1]), async () => {
    await one.until(one.kv.deleteMetadata('app'));
    one.vault.kv().put('app', { n: 7 });
  });
  expect(await failureOf(work)).toMatchObject({ code: 'VAULT_UNREACHABLE', outcomeUnknown: true });
  expect(await one.data()).toEqual({ n: 7 });
});

it('a write that failed with 500 says that it may have been executed', async () => {
  const one = await world();
  one.vault.answer(500, { errors: ['internal error'] }, /POST/);
  const error = await failureOf(one.until(one.kv.write('app', { n: 3 })));
  expect(error).toMatchObject({ code: 'VAULT_SERVER_ERROR', outcomeUnknown: true });
  expect(error.message).toContain('The server may have executed the request.');
  expect(one.sent('POST')).toBe(1);
});

it('update: an outage of its read is no unknown outcome', async () => {
  const one = await world();
  one.vault.dropResponse({ times: Infinity, match: /GET/ });
  const error = await failureOf(one.until(one.kv.update('app', () => ({ n: 3 }))));
  expect(error.code).toBe('VAULT_UNREACHABLE');
  expect(error.message).toContain('Nothing was written.');
  expect(error).not.toHaveProperty('outcomeUnknown');
  expect(one.sent('POST')).toBe(0);
});

it('update: an outage of the read after a lost answer leaves the outcome unknown', async () => {
  // The look at version 3 is answered.
  const one = await world(
    POLICY,
    failing('GET', (number) => number > 1),
  );
  one.vault.dropResponse({ times: 1, match: /POST/ });
  const error = await failureOf(one.until(one.kv.update('app', () => ({ n: 3 }))));
  expect(error).toMatchObject({ code: 'VAULT_SERVER_ERROR', outcomeUnknown: true });
  expect(one.sent('POST')).toBe(2);
});

it('update: a counter whose write failed with 500 after its execution has an unknown outcome', async () => {
  const one = await world(
    POLICY,
    failing('POST', (number) => number === 1),
  );
  const count = one.kv.update<{ n: number }>('app', (current) => ({
    n: (current?.data.reveal().n ?? 0) + 1,
  }));
  expect(await failureOf(one.until(count))).toMatchObject({
    code: 'VAULT_SERVER_ERROR',
    outcomeUnknown: true,
  });
  expect(one.sent('POST')).toBe(2);
});

it('update: an equal result writes nothing, and is as recent as the read', async () => {
  const one = await world(POLICY, lagging);
  await one.until(one.kv.read('app'));
  one.vault.kv().put('app', { n: 3 });
  expect(await one.until(one.kv.update('app', () => ({ n: 2 })))).toMatchObject({ version: 2 });
  expect(one.sent('POST')).toBe(0);
});

it('a conflict does not report `cas` as the current version when the read lags behind', async () => {
  const one = await world(POLICY, lagging);
  await one.until(one.kv.read('app'));
  one.vault.kv().put('app', { n: 3 });
  const error = await failureOf(one.until(one.kv.write('app', { n: 4 }, { cas: 2 })));
  expect(error.code).toBe('VAULT_CAS_CONFLICT');
  expect(error).not.toHaveProperty('version');
  expect(error.message).not.toContain('The current version');
  const late = await failureOf(one.until(one.kv.update('app', () => ({ n: 4 }))));
  expect(late.code).toBe('VAULT_CAS_CONFLICT');
  expect(late).not.toHaveProperty('version');
});

it('write with cas: a server that does not have the version yet is asked again', async () => {
  const one = await world();
  one.vault.dropResponse({ times: 1, match: /POST/ });
  one.vault.answer(404, { errors: [] }, { times: 2, match: /GET/ });
  expect(await one.until(one.kv.write('app', { n: 3 }, { cas: 2 }))).toMatchObject({ version: 3 });
  expect(await one.currentVersion()).toBe(3);
});

it.each([
  ['a name of every object', { constructor: null, n: 3 }, { n: 3 }],
  ['an empty object', { nested: {}, n: null }, { nested: {} }],
])('patch with cas: after a lost answer, the look at the version knows %s', async (_what, patch, data) => {
  const one = await world();
  one.vault.dropResponse();
  expect(await one.until(one.kv.patch('app', patch, { cas: 2 }))).toMatchObject({ version: 3 });
  expect(await one.data()).toEqual(data);
});

it('patch with cas: a version of another writer without the nested object is a conflict', async () => {
  const one = await world();
  lose(one.vault);
  const patch = { nested: { old: null } };
  const work = after(one, one.kv.patch('app', patch, { cas: 2 }), () => one.vault.kv().put('app', { n: 7 }));
  expect(await failureOf(work)).toMatchObject({ code: 'VAULT_CAS_CONFLICT', version: 3 });
});

it('VaultClient: a folder of a mount of version 2 that is listed without `metadata/` is not empty', async () => {
  const one = await world('path "secret/*" { capabilities = ["read", "list"] }');
  const error = await failureOf(one.until(one.connection.client.list('secret/team')));
  expect(error.code).toBe('VAULT_CONFIG_INVALID');
  expect(error.hint).toContain('`metadata/`');
});
