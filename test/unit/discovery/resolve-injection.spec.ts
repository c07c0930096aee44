import { expect, it } from 'vitest';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { resolveInjection } from '../../../lib/discovery/resolve-injection.js';
import { EventBus } from '../../../lib/events/events.js';
import { token, type Secret } from '../../../lib/index.js';
import { SimulatedVault, VirtualClock } from '../../../lib/testing/index.js';

it('a missing secret is read again at the next injection, as by a lazy module', async () => {
  const clock = new VirtualClock();
  const vault = new SimulatedVault({ clock });
  vault.kv();
  const options = resolveOptions({ address: 'http://vault.test', auth: token('root') });
  const connection = new VaultConnection(options, new EventBus(), clock, vault.transport());
  const definition = { kind: 'secret', token: 'one', connection: 'default', path: 'app' } as const;
  const read = () =>
    clock.until(resolveInjection(connection, definition) as Promise<Secret<{ key: string }>>);

  await expect(read()).rejects.toMatchObject({ code: 'VAULT_SECRET_NOT_FOUND' });
  vault.kv().put('app', { key: 'value' });
  expect((await read()).reveal()).toEqual({ key: 'value' });
  // This value is kept.
  vault.clearHistory();
  await read();
  expect(vault.count(/secret/)).toBe(0);
  await clock.until(connection.close());
});
