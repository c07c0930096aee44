import { expect, it } from 'vitest';
import { token } from '../../../lib/auth/token.js';
import { assertMayTravel } from '../../../lib/client/clear-text.js';
import { systemClock } from '../../../lib/clock/clock.js';
import { resolveOptions } from '../../../lib/config/resolved-options.js';
import { VaultConnection } from '../../../lib/connection/vault-connection.js';
import { EventBus } from '../../../lib/events/events.js';
import { SimulatedVault } from '../../../lib/testing/index.js';

const inClear = (address: string | string[], allowHttp?: boolean) =>
  assertMayTravel(
    resolveOptions({ address, auth: token('t'), ...(allowHttp !== undefined && { allowHttp }) }, 'audit'),
  );

it.each([
  'https://vault.internal:8200',
  'http://localhost:8200',
  'http://LOCALHOST.:8200',
  'http://vault.localhost',
  'http://127.0.0.1:8200',
  'http://127.1:8200',
  'http://127.255.0.3',
  'http://[::1]:8200/prefix',
])('%s is accepted', (address) => {
  expect(inClear(address)).toEqual([]);
});

it.each([
  'http://vault.internal:8200',
  'http://10.0.0.1:8200',
  'http://127.0.0.1.evil.example',
  'http://localhost.evil.example',
  'http://notlocalhost',
  'http://0.0.0.0:8200',
  'http://[::ffff:10.0.0.1]:8200',
  'http://host.docker.internal:8200',
])('%s is refused, with the option that allows it, and accepted with that', (address) => {
  expect(() => inClear(address)).toThrow(
    /"audit".*would send logins, tokens and secrets over the network in clear.*VAULT_CONFIG_INVALID.*https:\/\/.*allowHttp: true/,
  );
  expect(() => inClear(address, false)).toThrow(/in clear/);
  expect(inClear(address, true)).toEqual([new URL(address).origin]);
});

it('each address counts', () => {
  expect(() => inClear(['http://localhost:8200', 'http://b:8200'])).toThrow(/\(http:\/\/b:8200\)/);
});

it('when allowed, one warning lists what travels in clear; without a network there is none', async () => {
  const address = 'http://vault.internal:8200';
  const warningsOf = async (allowHttp: boolean, simulated?: SimulatedVault) => {
    const bus = new EventBus();
    const options = resolveOptions({ address, auth: token('t'), allowHttp });
    const connection = new VaultConnection(options, bus, systemClock, simulated?.transport());
    await connection.close();
    return bus.recent.flatMap((event) =>
      event.type === 'warning' ? [`${event.code}: ${event.message}`] : [],
    );
  };
  expect(await warningsOf(true)).toEqual([
    'not-encrypted: logins, tokens and secrets are sent unencrypted to http://vault.internal:8200 (`allowHttp`)',
  ]);
  await expect(warningsOf(false)).rejects.toThrow(/in clear/);
  expect(await warningsOf(false, new SimulatedVault())).toEqual([]);
});
