import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { afterEach, expect, it } from 'vitest';
import { appRole } from '../../../../lib/index.js';
import { closeConnections, connect } from '../../../support/connect.js';

afterEach(closeConnections);

it('the 404 of a gateway is no empty folder: a watched one keeps its secrets', async () => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.kv().put('partners/acme', { key: 'canary' });
  const { roleId, secretId } = vault.appRole('app');
  const auth = appRole({ roleId, secretId: secretId() });
  const { connection } = connect(
    // Without these delays, a thousand attempts a virtual second.
    { address: 'http://vault.test', auth, timeout: 100, retry: { initialDelay: 1_000, maxDelay: 5_000 } },
    clock,
    vault.transport(),
  );
  await clock.until(connection.login());
  const sizes: number[] = [];
  const watching = connection.secrets
    .watchFolder('partners', { every: 60_000 })
    .subscribe(({ size }) => sizes.push(size));
  await clock.advance(1_000);
  vault.answer(404, { message: 'no Route matched' }, /metadata\/partners/);
  await clock.advance(90_000);
  await expect(clock.until(connection.secrets.list('partners'))).rejects.toMatchObject({
    code: 'VAULT_NOT_VAULT',
  });
  expect(sizes).toEqual([1]);
  watching.unsubscribe();
});

it('subkeys whose values a server answers in their place are refused, as keys are shown', async () => {
  const vault = new SimulatedVault();
  vault.kv().put('app', { key: 'x' });
  const { roleId, secretId } = vault.appRole('app');
  const auth = appRole({ roleId, secretId: secretId() });
  const { connection } = connect({ address: 'http://vault.test', auth }, undefined, vault.transport());
  const metadata = { version: 1, created_time: '2026-01-01T00:00:00Z' };
  vault.answer(200, { data: { subkeys: { key: 'canary' }, metadata } }, /subkeys/);
  const error = await connection.secrets.subkeys('app').catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ code: 'VAULT_RESPONSE_INVALID' });
  expect(JSON.stringify(error)).not.toContain('canary');
});
