import { expect, it } from 'vitest';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { appRole, Secret } from '../../../lib/index.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';
import { Authority, encryptKey, opensslAvailable } from '../../support/certificates.js';
import { expectNoLeak } from '../../support/leaks.js';

it.skipIf(!opensslAvailable)('prints nothing of its options: neither keys nor login secrets', async () => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.databaseRole('app');
  const { roleId, secretId } = vault.appRole('app');
  const [passphrase, id] = ['canary-passphrase', secretId()];
  const authority = new Authority();
  const { cert, keyFile } = authority.issue('client', 'DNS:client');
  const key = encryptKey(keyFile, passphrase);
  authority.remove();
  const options = resolveOptions({
    address: 'https://vault.test',
    tls: { cert, key, passphrase },
    auth: appRole({ roleId, secretId: new Secret(id) }),
  });
  const connection = new VaultConnection(options, new EventBus(), clock, vault.transport());
  await clock.until(connection.login());
  const { data } = await clock.until(
    connection.leases.get<{ username: string; password: string }>('database/creds/app'),
  );
  const canaries = [key.split('\n')[1] ?? '', passphrase, id, data.reveal().password];
  for (const value of [connection, { connection }, connection.client, connection.leases, connection.status])
    expectNoLeak(value, canaries);
  await clock.until(connection.close());
});

it('a KV read that keeps failing is the reason why a start waits, until the server answers it', async () => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.kv().put('app', { key: 'value' });
  const { roleId, secretId } = vault.appRole('app');
  const auth = appRole({ roleId, secretId: secretId() });
  const options = resolveOptions({ address: 'https://vault.test', auth });
  const connection = new VaultConnection(options, new EventBus(), clock, vault.transport());
  const nothing = /^no answer of https:\/\/vault\.test yet\.$/;
  expect(connection.waitsFor).toMatch(nothing);
  await clock.until(connection.login());
  vault.answer(500, { errors: ['something of its own'] }, /secret\/data\/app/);
  const read = connection.secrets.read('app', {}, 60_000);
  await clock.advance(3_000);
  expect(connection.waitsFor).toMatch(/failed with status 500 at secret\/data\/app/);
  vault.clearFaults();
  await clock.until(read);
  // A schema may keep the start waiting, too.
  expect(connection.waitsFor).toMatch(
    /^no answer of https:\/\/vault\.test to a read yet, or none of a `schema`\.$/,
  );
  await clock.until(connection.close());
});
