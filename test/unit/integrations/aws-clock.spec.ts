import { rotatingAwsCredentials, type AwsIdentity } from 'nestjs-vault/aws';
import { expect, it } from 'vitest';
import type { Credentials } from '../../../lib/leases/lease.js';
import { AlteredVault } from '../../support/altered-vault.js';

const DAY = 86_400_000;
const PATH = 'aws/creds/app';

it('AWS keys settle and expire on the clock of the connection; the SDK gets their expiration in system time', async () => {
  const world = new AlteredVault();
  let issued = 0;
  const data = () => ({ access_key: `AKIA${++issued}`, secret_key: 'canary', security_token: null });
  world.vault.leasedSecret(PATH, { ttl: '1h', maxTtl: '2h', data });
  world.vault.policy('app', 'path "*" { capabilities = ["read", "update"] }');
  await world.clock.advance(330 * DAY);
  const { connection } = await world.live();
  const provider = rotatingAwsCredentials(connection.leases.watch<Credentials['data']>(PATH, false));
  const atOnce = await Promise.race([provider(), world.clock.advance(9_000)]);
  expect(atOnce).toBeUndefined();
  const expires = (keys: AwsIdentity) => +keys.expiration - Date.now();
  const first = await world.clock.until(provider());
  expect(expires(first)).toBeGreaterThan(50_000);
  expect(expires(first)).toBeLessThanOrEqual(60_000);
  // New keys come after at most two hours; until they have settled, the previous ones are used.
  let latest = first;
  for (let minute = 0; latest.accessKeyId === first.accessKeyId && minute < 150; minute++) {
    await world.clock.advance(60_000);
    latest = await provider();
    expect(expires(latest)).toBeGreaterThan(0);
  }
  expect(latest.accessKeyId).toBe('AKIA2');
  await world.clock.until(connection.close());
});
