import { createServer as createTcp, type AddressInfo, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { token } from '../../lib/auth/token.js';
import type { TlsOptions } from '../../lib/client/tls-options.js';
import type { VaultError } from '../../lib/errors/vault-error.js';
import { Authority, opensslAvailable, type Certificate } from '../support/certificates.js';
import { connect, transportTo } from '../support/connect.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal } from '../support/real-servers.js';
import { client, closeAll, Recorder, redirect, TOKEN, vault, who } from '../support/recorder.js';
import { startOpenBao, type OpenBaoServer } from '../support/servers.mjs';

afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await closeAll();
});

const describeTls = opensslAvailable ? describeReal : describe.skip;

describeTls('TLS', () => {
  let ca: Authority;
  let other: Authority;
  let intermediate: Authority;
  let server: Certificate;
  let bao: OpenBaoServer;
  let plain: OpenBaoServer;

  beforeAll(async () => {
    ca = new Authority('one');
    other = new Authority('other');
    intermediate = new Authority('intermediate', ca);
    server = ca.issue('server', 'IP:127.0.0.1,DNS:vault.internal');
    const { certFile, keyFile } = server;
    [bao, plain] = await Promise.all([
      startOpenBao({ tls: { certFile, keyFile, caFile: ca.certFile } }),
      startOpenBao(),
    ]);
  });
  afterAll(async () => {
    await Promise.all([bao?.stop(), plain?.stop()]);
    for (const authority of [ca, other, intermediate]) authority?.remove();
  });

  const read = (address: string | string[], tls: TlsOptions | undefined, given = bao.rootToken) =>
    client(address, { auth: token(given), ...(tls && { tls }) }).read('auth/token/lookup-self');

  async function untrusted(work: Promise<unknown>, message: RegExp, hint: RegExp): Promise<VaultError> {
    const error = await failureOf(work);
    expect(error.code, error.message).toBe('VAULT_TLS_UNTRUSTED');
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expectNoLeak(error, [bao.rootToken, server.key, TOKEN]);
    return error;
  }
  /** A server of the test's own with a certificate. */
  const showing = ({ cert, key }: { cert: string; key: string }) =>
    Recorder.start(vault('own'), { cert, key });

  it('a server with a given authority is trusted, and keeps its connection', async () => {
    const using = client(bao.address, { auth: token(bao.rootToken), tls: { ca: ca.cert } });
    for (let again = 0; again < 3; again++) await using.read('auth/token/lookup-self');
    await read(bao.address, { ca: [other.cert, Buffer.from(ca.cert)] });
    await read(bao.address, { ca: ca.certFile });
  });

  describe('is verified', () => {
    it.each([
      ['with an authority of its own', () => ({ tls: { ca: ca.cert } })],
      ['with the authorities of the system', () => ({})],
    ])('for any environment, %s', async (_what, tls) => {
      // Node warns about such variables.
      vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
      vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
      vi.stubEnv('VAULT_SKIP_VERIFY', '1');
      const stranger = await showing(other.issue('stranger', 'IP:127.0.0.1'));
      const auth = appRole({ roleId: 'role', secretId: TOKEN });
      const { connection } = connect({ address: stranger.address, auth, ...tls() });
      await untrusted(connection.login(), /UNABLE_TO_|SELF_SIGNED/, /`tls\.ca`/);
      expect(stranger.requests).toEqual([]);
    });

    it('by the name in the address, not by the one in a Host header', async () => {
      const elsewhere = await showing(ca.issue('elsewhere', 'DNS:elsewhere.internal'));
      const transport = transportTo([elsewhere.address], { ca: ca.cert });
      const headers = { host: 'elsewhere.internal', 'X-Vault-Token': TOKEN };
      const sent = transport.send({ method: 'GET', path: '/v1/kv1/x', headers, timeout: 2_000 });
      await expect(sent).rejects.toMatchObject({ code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
      await transport.close();
      expect(elsewhere.requests).toEqual([]);
    });

    it('each address by itself: an untrusted one is skipped, and gets no request', async () => {
      const stranger = await showing(other.issue('stranger', 'IP:127.0.0.1'));
      await read([stranger.address, bao.address], { ca: ca.cert });
      expect(stranger.requests).toEqual([]);
      const error = await untrusted(
        read([stranger.address, stranger.address], { ca: ca.cert }),
        /UNABLE_TO_/,
        /./,
      );
      expect(error.outcomeUnknown).toBeUndefined();
    });

    it('by a given name or address', async () => {
      await read(bao.address, { ca: ca.cert, serverName: 'vault.internal' });
      const named = await showing(ca.issue('named', 'DNS:vault.internal,IP:10.1.2.3'));
      await read(named.address, { ca: ca.cert, serverName: '10.1.2.3' });
      await untrusted(
        read(bao.address, { ca: ca.cert, serverName: '10.1.2.3' }),
        /ERR_TLS_CERT_ALTNAME_INVALID/,
        /`tls.serverName`/,
      );
      await untrusted(
        read(bao.address, { ca: ca.cert, serverName: 'other.internal' }),
        /ERR_TLS_CERT_ALTNAME_INVALID/,
        /not among the names in the certificate.*`tls.serverName`/,
      );
    });
  });

  describe('a hint for each failure', () => {
    it('the authority is unknown', async () => {
      for (const tls of [undefined, { ca: other.cert }]) {
        const error = await untrusted(
          read(bao.address, tls),
          /UNABLE_TO_VERIFY_LEAF_SIGNATURE/,
          /^The authority that signed .* is not trusted\. Give its root as `tls.ca` \(PEM, or the path of a file\)/,
        );
        expect(error.message).toContain(bao.address);
      }
    });

    it('the authority has the same name, and another key', async () => {
      const again = new Authority('one');
      await untrusted(read(bao.address, { ca: again.cert }), /UNABLE_TO_|CERT_SIGNATURE/, /the same name/);
      again.remove();
    });

    it('the intermediate authority is trusted, and its root is not', async () => {
      const leaf = intermediate.issue('leaf', 'IP:127.0.0.1');
      const own = await showing({ ...leaf, cert: leaf.cert + intermediate.cert });
      await untrusted(
        read(own.address, { ca: [other.cert, intermediate.cert] }),
        /UNABLE_TO_GET_ISSUER_CERT\b/,
        /intermediate authority whose root is not trusted: add the root to `tls.ca`/,
      );
      await read(own.address, { ca: [intermediate.cert, ca.cert] });
    });

    it('the server sends no intermediate', async () => {
      const own = await showing(intermediate.issue('leaf', 'IP:127.0.0.1'));
      await untrusted(read(own.address, { ca: ca.cert }), /UNABLE_TO_/, /does not send its intermediate/);
    });

    it('the root that the server sends is unknown', async () => {
      const own = await showing({ ...server, cert: server.cert + ca.cert });
      await untrusted(read(own.address, undefined), /SELF_SIGNED_CERT_IN_CHAIN/, /^The root of the server/);
    });

    it('the certificate is self-signed', async () => {
      const self = ca.selfSigned('self', 'IP:127.0.0.1');
      const own = await showing(self);
      await untrusted(
        read(own.address, undefined),
        /DEPTH_ZERO_SELF_SIGNED_CERT/,
        /give that certificate itself/,
      );
      await read(own.address, { ca: self.certFile });
    });

    it('the host is not in the certificate', async () => {
      const address = bao.address.replace('127.0.0.1', 'localhost');
      await untrusted(
        read(address, { ca: ca.cert }),
        /localhost.*ERR_TLS_CERT_ALTNAME_INVALID/,
        /not among the names in the certificate.*`tls.serverName`/,
      );
    });

    it('the certificate has expired: the hint mentions clocks', async () => {
      const expired = await showing(ca.issue('expired', 'IP:127.0.0.1', -1));
      await untrusted(
        read(expired.address, { ca: ca.cert }),
        /CERT_HAS_EXPIRED/,
        /has expired: renew it there\. This machine's clock says 20/,
      );
      expect(expired.requests).toEqual([]);
    });

    it('https to a port of http', async () => {
      await untrusted(
        read(plain.address.replace('http:', 'https:'), { ca: ca.cert }),
        /ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)|EPROTO/,
        /^The server at this port does not speak TLS.*http:\/\/ \(which needs `allowHttp: true`/,
      );
    });

    it('http to a port of https', async () => {
      const error = await failureOf(read(bao.address.replace('https:', 'http:'), undefined, TOKEN));
      expect(error.code).toBe('VAULT_NOT_VAULT');
      expect(error.message).toMatch(/requires TLS.*Write https:\/\/ instead/);
      expectNoLeak(error, [TOKEN]);
    });

    it('http to a port of https that only cuts the connection', async () => {
      const own = await showing(server);
      const error = await failureOf(read(own.address.replace('https:', 'http:'), undefined, TOKEN));
      expect(error.code).toBe('VAULT_UNREACHABLE');
      expect(error.hint).toMatch(/A port that requires TLS may close the connection.*https:\/\//);
    });

    it('another protocol than TLS', async () => {
      const sockets = new Set<Socket>();
      const ssh = createTcp((socket) => sockets.add(socket).size && socket.write('SSH-2.0-OpenSSH_9.2\r\n'));
      await new Promise<void>((resolve) => ssh.listen(0, '127.0.0.1', resolve));
      const address = `https://127.0.0.1:${(ssh.address() as AddressInfo).port}`;
      await untrusted(read(address, { ca: ca.cert }), /ERR_SSL|EPROTO/, /does not speak TLS/);
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => ssh.close(resolve));
    });
  });

  describe('client certificates', () => {
    let demanding: OpenBaoServer;
    beforeAll(async () => {
      const { certFile, keyFile } = server;
      const client = ca.issue('health', 'DNS:health');
      demanding = await startOpenBao({ tls: { certFile, keyFile, caFile: ca.certFile, client } });
    });
    afterAll(() => demanding?.stop());

    it('the right one is shown', async () => {
      const { cert, key } = ca.issue('client', 'DNS:client');
      const tls = { ca: ca.cert, cert, key: Buffer.from(key) };
      await read(demanding.address, tls, demanding.rootToken);
    });

    it.each<[string, (() => Certificate) | undefined, RegExp, RegExp]>([
      [
        'none',
        undefined,
        /ALERT_CERTIFICATE_REQUIRED/,
        /requires a client certificate that it trusts: give `tls.cert`/,
      ],
      [
        'of another authority',
        () => other.issue('c', 'DNS:c'),
        /ALERT_UNKNOWN_CA/,
        /that it trusts: give `tls.cert`/,
      ],
      [
        'expired',
        () => ca.issue('old', 'DNS:c', -1),
        /ALERT_CERTIFICATE_EXPIRED/,
        /\(`tls.cert`\) has expired/,
      ],
    ])('%s', async (_what, made, code, hint) => {
      const { cert, key } = made?.() ?? {};
      const tls = { ca: ca.cert, ...(cert && key && { cert, key }) };
      const error = await untrusted(read(demanding.address, tls, TOKEN), code, hint);
      // The server read no byte of the request, although it was sent.
      expect(error.outcomeUnknown).toBeUndefined();
      expectNoLeak(error, [key ?? TOKEN]);
    });

    it('a server that only cuts the connection', async () => {
      const asking = { ca: ca.cert, requestCert: true, maxVersion: 'TLSv1.2' } as const;
      const own = await Recorder.start(vault('own'), { cert: server.cert, key: server.key, ...asking });
      const { cert, key } = other.issue('client', 'DNS:client');
      const error = await failureOf(read(own.address, { ca: ca.cert, cert, key }));
      expect(error.code).toBe('VAULT_UNREACHABLE');
      expect(error.hint).toMatch(/requires a client certificate \(`tls.cert`\), or another one/);
      expect(own.lines).toEqual([]);
    });
  });

  it('C19: a redirect out of TLS is not followed, not even to a configured address', async () => {
    const clear = await Recorder.start(vault('clear'));
    const { cert, key } = server;
    const standby = await Recorder.start(redirect(`${clear.address}/v1/kv1/redirected`), { cert, key });
    const error = await failureOf(client(standby.address, { tls: { ca: ca.cert } }).read('kv1/x'));
    expect(error.code).toBe('VAULT_STANDBY');
    expect(error.message).toContain('leaves TLS');
    // The options refuse a mix of http and https; the transport does not rely on that.
    const transport = transportTo([standby.address, clear.address], { ca: ca.cert });
    const headers = { 'X-Vault-Token': TOKEN };
    await transport
      .send({ method: 'GET', path: '/v1/kv1/x', headers, timeout: 2_000 })
      .catch(() => undefined);
    await transport.close();
    expect(clear.lines).not.toContain('GET /v1/kv1/redirected');
  });

  it('a redirect within TLS goes to a configured address', async () => {
    const { cert, key } = server;
    const leader = await Recorder.start(vault('leader'), { cert, key });
    const standby = await Recorder.start(
      (request, response) => redirect(`${leader.address}${request.url}`)(request, response),
      { cert, key },
    );
    expect(await who(client([standby.address, leader.address], { tls: { ca: ca.cert } }))).toBe('leader');
  });
});
