import { X509Certificate } from 'node:crypto';
import { token, type VaultEvent } from 'nestjs-vault';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { closeConnections, connect } from '../support/connect.js';
import { describeReal } from '../support/real-servers.js';
import { startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

interface Certificate {
  certificate: string;
  private_key: string;
}

describeReal('certificates', () => {
  let bao: OpenBaoServer;

  beforeAll(async () => {
    bao = await startOpenBao();
    await bao.api('POST', 'sys/mounts/pki', { type: 'pki' });
    await bao.api('POST', 'pki/root/generate/internal', { common_name: 'internal', ttl: '1h' });
    await bao.api('POST', 'pki/roles/shop', { allowed_domains: 'internal', allow_subdomains: true });
  });

  afterEach(closeConnections);
  afterAll(() => bao?.stop());

  it('F3: a certificate without a lease is issued anew before it expires', async () => {
    const { connection, bus } = connect({ address: bao.address, auth: token(bao.rootToken) });
    const events: VaultEvent[] = [];
    bus.events$.subscribe((event) => events.push(event));
    const seen: { certificate: X509Certificate; validUntil: Date; at: number }[] = [];
    const parameters = { common_name: 'orders.internal', ttl: '4s' };
    connection.leases
      .watch<Certificate>('pki/issue/shop', false, parameters)
      .subscribe(({ data, lease: { validUntil } }) =>
        seen.push({
          certificate: new X509Certificate(data.reveal().certificate),
          validUntil,
          at: Date.now(),
        }),
      );
    const same = { ttl: '4s', common_name: 'orders.internal' };
    await expect.poll(() => connection.leases.current('pki/issue/shop', same)).toBeDefined();
    expect(connection.leases.current('pki/issue/shop')).toBeUndefined();
    await expect.poll(() => seen.length, { timeout: 8_000 }).toBe(2);

    const [first, second] = seen as [(typeof seen)[0], (typeof seen)[0]];
    expect(first.certificate.subject).toBe('CN=orders.internal');
    expect(first.validUntil.getTime()).toBe(new Date(first.certificate.validTo).getTime());
    expect(second.at).toBeLessThan(first.validUntil.getTime());
    expect(second.certificate.serialNumber).not.toBe(first.certificate.serialNumber);
    expect(events.filter(({ type }) => type === 'rotated')).toMatchObject([{ reason: 'not-renewable' }]);
    expect(events.filter(({ type }) => /expired|failed/.test(type))).toEqual([]);
  });
});
