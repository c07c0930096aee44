import { SimulatedVault, VirtualClock } from 'nestjs-vault/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Ask, asker } from '../support.js';

describe('a leased secret of a custom engine', () => {
  let clock: VirtualClock;
  let vault: SimulatedVault;
  let ask: Ask;
  let count: number;

  beforeEach(() => {
    clock = new VirtualClock();
    vault = new SimulatedVault({ clock });
    ask = asker(vault);
    count = 0;
    vault.leasedSecret('aws/creds/deploy', {
      ttl: '10m',
      maxTtl: '1h',
      data: () => ({ access_key: `AKIA${++count}`, security_token: null }),
    });
  });

  it('answers with the data of the test, each time with a lease of its own', async () => {
    const [one, two] = [await ask('GET', 'aws/creds/deploy'), await ask('GET', 'aws/creds/deploy')];
    expect(one.body).toMatchObject({
      lease_duration: 600,
      renewable: true,
      data: { access_key: 'AKIA1', security_token: null },
    });
    expect(two.body.data).toMatchObject({ access_key: 'AKIA2' });
    expect(vault.liveLeases.map(({ path }) => path)).toEqual(['aws/creds/deploy', 'aws/creds/deploy']);
  });

  it('is renewed up to its max TTL, and ends', async () => {
    const { lease_id } = (await ask('GET', 'aws/creds/deploy')).body;
    await clock.advance(9 * 60_000);
    const renewed = await ask('POST', 'sys/leases/renew', { lease_id });
    expect(renewed.body).toMatchObject({ lease_duration: 600, renewable: true });
    await clock.advance(10 * 60_000);
    expect((await ask('POST', 'sys/leases/renew', { lease_id })).body.errors).toEqual(['lease not found']);
  });

  it('is not renewed if it is not renewable', async () => {
    vault.leasedSecret('aws/sts/deploy', { ttl: '15m', renewable: false, data: () => ({}) });
    const { body } = await ask('GET', 'aws/sts/deploy');
    expect(body).toMatchObject({ lease_duration: 900, renewable: false });
    const { lease_id } = body;
    expect(await ask('POST', 'sys/leases/renew', { lease_id })).toMatchObject({
      status: 400,
      body: { errors: ['lease is not renewable'] },
    });
    const lookedUp = await ask('POST', 'sys/leases/lookup', { lease_id });
    expect(lookedUp.body.data).toMatchObject({ renewable: false, ttl: 900 });
  });

  it('does not exist at other paths, nor at the mount of another engine', async () => {
    expect((await ask('GET', 'aws/creds/other')).status).toBe(404);
    expect(vault.unhandledRequests).toEqual(['GET /v1/aws/creds/other']);
    vault.kv('kv');
    expect(() => vault.leasedSecret('kv/creds/x', { data: () => ({}) })).toThrow('kv/creds/x');
    expect(() => vault.leasedSecret('aws', { data: () => ({}) })).toThrow('aws');
  });
});
