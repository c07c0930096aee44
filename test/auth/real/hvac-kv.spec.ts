import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SimulatedVault } from '../../../lib/testing/index.js';
import { normalise } from '../../parity/normalise.js';
import { sender } from '../../parity/send.js';
import { realServer } from '../../support/real-servers.js';
import { startOpenBao, type OpenBaoServer } from '../../support/servers.mjs';
import { python, runHvac } from '../support/hvac.js';

/** Version of the engine and function of hvac, and its arguments. */
type Call = [version: 'v1' | 'v2', name: string, args: Record<string, unknown>];

const config = (name: string, args: object = {}): Call => ['v2', name, { mount_point: 'kv', ...args }];
const v2 = (name: string, path: string, args: object = {}): Call => config(name, { path, ...args });
const read = (path: string, args: object = {}) =>
  v2('read_secret_version', path, { raise_on_deleted_version: true, ...args });
const v1 = (name: string, path: string, args: object = {}): Call => [
  'v1',
  name,
  { mount_point: 'kv-1', path, ...args },
];

const CALLS: Record<string, readonly Call[]> = {
  'version 2': [
    v2('create_or_update_secret', 'app', { secret: { a: '1', n: { x: 1, y: [1, null] } } }),
    v2('create_or_update_secret', 'app', { secret: { a: '2' }, cas: 1 }),
    v2('create_or_update_secret', 'app', { secret: { a: '3' }, cas: 1 }),
    v2('create_or_update_secret', 'new', { secret: { a: '1' }, cas: 0 }),
    v2('create_or_update_secret', 'new', { secret: { a: '2' }, cas: 0 }),
    read('app'),
    read('app', { version: 1 }),
    read('app', { version: 9 }),
    read('none'),
    // Read and write by hvac itself, as its PATCH came late.
    v2('patch', 'app', { secret: { b: '1' } }),
    read('app'),
    v2('patch', 'none', { secret: { b: '1' } }),
    v2('list_secrets', ''),
    v2('list_secrets', 'none'),
    v2('delete_latest_version_of_secret', 'app'),
    read('app'),
    v2('read_secret_version', 'app', { raise_on_deleted_version: false }),
    v2('patch', 'app', { secret: { b: '2' } }),
    v2('undelete_secret_versions', 'app', { versions: [3] }),
    read('app'),
    v2('delete_secret_versions', 'app', { versions: [1, 2] }),
    read('app', { version: 2 }),
    v2('destroy_secret_versions', 'app', { versions: [1] }),
    read('app', { version: 1 }),
    v2('undelete_secret_versions', 'app', { versions: [1, 2] }),
    read('app', { version: 2 }),
    v2('destroy_secret_versions', 'none', { versions: [1] }),
    v2('undelete_secret_versions', 'none', { versions: [1] }),
  ],
  'metadata of version 2': [
    v2('update_metadata', 'meta', {
      max_versions: 2,
      cas_required: true,
      delete_version_after: '1h',
      custom_metadata: { owner: 'team' },
    }),
    v2('create_or_update_secret', 'meta', { secret: { a: '1' } }),
    v2('create_or_update_secret', 'meta', { secret: { a: '1' }, cas: 0 }),
    ...[1, 2].map((cas) => v2('create_or_update_secret', 'meta', { secret: { a: '2' }, cas })),
    v2('read_secret_metadata', 'meta'),
    read('meta'),
    read('meta', { version: 1 }),
    v2('update_metadata', 'meta', { custom_metadata: { owner: 'x'.repeat(513) } }),
    v2('update_metadata', 'meta', { cas_required: false, custom_metadata: {} }),
    v2('patch', 'meta', { secret: { b: '1' } }),
    v2('read_secret_metadata', 'meta'),
    v2('delete_metadata_and_all_versions', 'meta'),
    v2('read_secret_metadata', 'meta'),
    read('meta'),
    config('configure', { max_versions: 4, cas_required: true, delete_version_after: '30m' }),
    config('read_configuration'),
    v2('create_or_update_secret', 'strict', { secret: {} }),
    v2('create_or_update_secret', 'strict', { secret: {}, cas: 0 }),
    read('strict'),
    config('configure', { max_versions: 0, cas_required: false, delete_version_after: '0s' }),
  ],
  'version 1': [
    v1('create_or_update_secret', 'app', { secret: { a: '1', ttl: '5m' } }),
    v1('read_secret', 'app'),
    v1('create_or_update_secret', 'app', { secret: { b: '1' }, method: 'PUT' }),
    v1('read_secret', 'app'),
    v1('read_secret', 'none'),
    v1('create_or_update_secret', 'empty', { secret: {} }),
    v1('create_or_update_secret', 'folder/x', { secret: { c: '1' } }),
    v1('list_secrets', ''),
    v1('list_secrets', 'folder'),
    v1('list_secrets', 'none'),
    v1('delete_secret', 'app'),
    v1('read_secret', 'app'),
    v1('delete_secret', 'none'),
  ],
};

describe.skipIf(python === undefined)('hvac, an independent client, with KV', () => {
  let bao: OpenBaoServer;
  const simulated = (['openbao', 'vault'] as const).map((dialect) => new SimulatedVault({ dialect }));
  const [own, other] = realServer.kind === 'openbao' ? simulated : [...simulated].reverse();
  const targets: { url: string; token: string }[] = [];

  beforeAll(async () => {
    bao = await startOpenBao();
    targets.push({ url: bao.address, token: bao.rootToken });
    for (const server of [own, other])
      targets.push({ url: (await server?.listen()) as string, token: 'root' });
    for (const { url, token } of targets) {
      const send = sender(url, token);
      await send('POST', 'sys/mounts/kv', { type: 'kv', options: { version: '2' } });
      await send('POST', 'sys/mounts/kv-1', { type: 'kv', options: { version: '1' } });
      while ((await send('GET', 'kv/config')).status === 400);
    }
  });
  afterAll(async () => {
    await Promise.all([bao?.stop(), ...simulated.map((one) => one.close())]);
  });

  it.each(Object.entries(CALLS))(`%s, with the results of ${realServer.name}`, async (_, calls) => {
    const [real, same, dialect] = await Promise.all(
      targets.map(async (target) => {
        const results = await runHvac<any[]>('hvac_kv.py', { ...target, calls });
        return results.map((one, index) => [calls[index]?.[1], normalise(one)] as const);
      }),
    );
    expect(same).toEqual(real);
    // The calls reach the engine: some are refused, and most are not.
    const failed = (results = real) => results?.map(([, one]) => Object(one).error as unknown);
    expect(failed()?.filter(Boolean).length).toBeLessThan(calls.length / 2);
    expect(failed()).toContain('InvalidPath');
    // The other dialect has other words and fields, but the same successes and kinds of failures.
    expect(failed(dialect)).toEqual(failed());
  });
});
