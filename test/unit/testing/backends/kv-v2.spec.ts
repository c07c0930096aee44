import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Ask, asker } from '../support.js';

const PATCH = { headers: { 'Content-Type': 'application/merge-patch+json' } };
const wrongPath = (command: string) =>
  'Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API endpoints to use. ' +
  `If using the Vault CLI, use 'vault kv ${command}' for this operation.`;

/** test/parity compares the simulation with OpenBao live. These are recorded answers of Vault 1.21.4 that differ. */
describe('KV version 2 in the dialect of Vault', () => {
  let ask: Ask;
  let vault: SimulatedVault;

  beforeEach(() => {
    vault = new SimulatedVault({ dialect: 'vault' });
    ask = asker(vault);
    vault.kv().put('app/k', { a: '1' });
  });

  it('shows the clients of changes in the metadata, and no check-and-set of the metadata', async () => {
    await ask('PATCH', 'secret/data/app/k', { data: { a: '2' } }, PATCH);
    await ask('POST', 'secret/data/app/k', { data: { a: '3' } });
    await ask('POST', 'secret/delete/app/k', { versions: [1] });
    await ask('POST', 'secret/metadata/app/k', { metadata_cas_required: true, max_versions: 3 });
    await ask('POST', 'secret/metadata/app/k', { max_versions: 4 });
    const by = (operation: string) => ({ actor: 'token', operation, client_id: expect.stringMatching(/=$/) });
    const { data } = (await ask('GET', 'secret/metadata/app/k')).body;
    expect(data).toMatchObject({
      max_versions: 4,
      last_updated_by: by('update'),
      versions: {
        1: { created_by: { operation: 'create' }, deleted_by: by('update') },
        2: { created_by: by('patch'), deleted_by: null },
        3: { created_by: by('update'), deleted_by: null },
      },
    });
    expect(data).not.toHaveProperty('metadata_cas_required');
    expect(data).not.toHaveProperty('current_metadata_version');
    await ask('POST', 'secret/undelete/app/k', { versions: [1] });
    const undeleted = (await ask('GET', 'secret/metadata/app/k')).body.data;
    expect(undeleted.last_updated_by).toEqual(by('undelete'));
    expect(undeleted.versions[1].deleted_by).toBeNull();
    await ask('DELETE', 'secret/data/app/k');
    expect((await ask('GET', 'secret/metadata/app/k')).body.data.last_updated_by).toEqual(by('delete'));
  });

  it.each([
    ['GET', 'secret/data/app/k/', 'get'],
    ['DELETE', 'secret/data/app/k/', 'delete'],
    ['GET', 'secret/app/k', 'get'],
    ['POST', 'secret/app/k', 'put'],
    ['LIST', 'secret/detailed-metadata/app', 'list'],
  ])('has no path %s %s', async (method, path, command) => {
    const { status, body } = await ask(method, path, method === 'POST' ? { data: {} } : undefined);
    expect({ status, warnings: body.warnings, mount: body.mount_type }).toEqual({
      status: 404,
      warnings: [wrongPath(command)],
      mount: 'kv',
    });
  });

  it('lists without pages', async () => {
    vault.kv().put('app/z', {});
    const { body } = await ask('LIST', 'secret/metadata/app/?limit=1&after=k');
    expect(body).toMatchObject({
      data: { keys: ['k', 'z'] },
      warnings: ['Endpoint ignored these unrecognized parameters: [after limit]'],
    });
  });

  it('refuses a patch of metadata without a secret, also an empty one', async () => {
    for (const body of [{ max_versions: 3 }, {}])
      expect(await ask('PATCH', 'secret/metadata/app/none', body, PATCH)).toMatchObject({
        status: 404,
        body: undefined,
      });
  });

  it('answers the config without check-and-set of metadata', async () => {
    await ask('POST', 'secret/config', { metadata_cas_required: true });
    expect((await ask('GET', 'secret/config')).body.data).toEqual({
      cas_required: false,
      delete_version_after: '0s',
      max_versions: 0,
    });
  });
});

describe('versions that end by themselves', () => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  const ask = asker(vault);
  const read = async () => {
    const { status, body } = await ask('GET', 'secret/data/app');
    return [status, body.data.data] as const;
  };

  it('end on the clock of the server, and begin again when they are undeleted', async () => {
    vault.kv();
    await ask('POST', 'secret/metadata/app', { delete_version_after: '90s' });
    await ask('POST', 'secret/data/app', { data: { a: 1 } });
    await clock.advance(89_000);
    expect(await read()).toEqual([200, { a: 1 }]);
    await clock.advance(1_000);
    expect(await read()).toEqual([404, null]);
    await ask('POST', 'secret/undelete/app', { versions: [1] });
    await clock.advance(89_000);
    expect(await read()).toEqual([200, { a: 1 }]);
    await clock.advance(2_000);
    expect(await read()).toEqual([404, null]);
    expect((await ask('PATCH', 'secret/data/app', { data: { b: 1 } }, PATCH)).status).toBe(404);
  });
});
