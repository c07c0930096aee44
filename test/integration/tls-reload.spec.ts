import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appRole } from '../../lib/auth/app-role.js';
import { token } from '../../lib/auth/token.js';
import type { TlsOptions } from '../../lib/client/tls-options.js';
import type { TransportRequest } from '../../lib/client/transport.types.js';
import type { EventBus, VaultEvent } from '../../lib/events/events.js';
import {
  Authority,
  encryptKey,
  opensslAvailable,
  pkcs12,
  type Certificate,
} from '../support/certificates.js';
import { closeConnections, connect, transportTo } from '../support/connect.js';
import { answer } from '../support/http-proxy.js';
import { expectNoLeak, failureOf } from '../support/leaks.js';
import { describeReal } from '../support/real-servers.js';
import { closeAll, Recorder } from '../support/recorder.js';
import { provision, startOpenBao, startTcpProxy } from '../support/servers.mjs';

/** A mounted volume as in Kubernetes: files are links into a folder that is replaced as a whole. */
class Volume {
  readonly #dir = mkdtempSync(join(tmpdir(), 'nestjs-vault-volume-'));
  #version = 0;

  /** The path of each file stays the same. */
  path(name: string): string {
    return join(this.#dir, name);
  }

  write(files: Record<string, string | Buffer>): void {
    const version = `..${++this.#version}`;
    mkdirSync(this.path(version));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(this.#dir, version, name), text);
    symlinkSync(version, this.path('..next'));
    renameSync(this.path('..next'), this.path('..data'));
    if (this.#version > 1) return;
    for (const name of Object.keys(files)) symlinkSync(join('..data', name), this.path(name));
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true });
  }
}

const PASSPHRASE = 'canary-passphrase';
const warnings = (bus: EventBus) =>
  bus.recent.flatMap((event) => (event.type === 'warning' ? [`${event.code}: ${event.message}`] : []));
const next = (bus: EventBus, type: VaultEvent['type']) =>
  new Promise<void>((resolve) => {
    const following = bus.events$.subscribe((event) => {
      if (event.type !== type) return;
      following.unsubscribe();
      resolve();
    });
  });

const describeTls = opensslAvailable ? describeReal : describe.skip;

describeTls('files of the tls options', () => {
  let volume: Volume;
  let first: Authority;
  let second: Authority;
  beforeEach(() => {
    volume = new Volume();
    first = new Authority('first');
    second = new Authority('second');
  });
  afterEach(async () => {
    await closeAll();
    volume.remove();
    for (const authority of [first, second]) authority.remove();
  });

  it('the authority changes while a token is renewed: no renewal fails', async () => {
    const [old, fresh] = [first, second].map((by) => by.issue('server', 'IP:127.0.0.1'));
    const files = new Volume();
    files.write({ cert: old?.cert ?? '', key: old?.key ?? '' });
    const paths = { certFile: files.path('cert'), keyFile: files.path('key'), caFile: first.certFile };
    const bao = await startOpenBao({ tls: paths });
    const proxy = await startTcpProxy(bao.port);
    /** Ends open connections, so that new ones make new handshakes. */
    const reconnect = async () => {
      await proxy.cut();
      await proxy.restore();
    };
    try {
      const role = await provision(bao, undefined, { approle: { token_ttl: '2s', token_max_ttl: '1h' } });
      volume.write({ 'ca.pem': first.cert });
      const tls = { ca: volume.path('ca.pem') };
      const { connection, bus } = connect({ address: `https://${proxy.address}`, auth: appRole(role), tls });
      await connection.login();

      volume.write({ 'ca.pem': second.cert.slice(0, 200) });
      await reconnect();
      await next(bus, 'token-renewed');
      expect(warnings(bus)).toEqual([
        expect.stringMatching(
          /^tls-files-ignored: changed TLS files are ignored.*ca\.pem\) is truncated PEM/,
        ),
      ]);

      volume.write({ 'ca.pem': second.cert });
      files.write({ cert: fresh?.cert ?? '', key: fresh?.key ?? '' });
      process.kill(bao.pid, 'SIGHUP');
      await expect.poll(() => issuerOf(bao.port)).toBe('second');
      await reconnect();
      await next(bus, 'token-renewed');

      const types = bus.recent.map(({ type }) => type);
      expect(types.filter((type) => /failed|unreachable/.test(type))).toEqual([]);
      expect(types.filter((type) => type === 'login' || type === 'tls-reloaded')).toEqual([
        'login',
        'tls-reloaded',
      ]);
      expect(warnings(bus)).toHaveLength(1);
    } finally {
      await closeConnections();
      await Promise.all([proxy.close(), bao.stop()]);
      files.remove();
    }
  });

  it('an encrypted key, PKCS #12 and a folder of authorities are read again, too', async () => {
    const { own, shown } = await askingForCertificates(second);
    const [one, two] = ['one', 'two'].map((name) => second.issue(name, `DNS:${name}`)) as [
      Certificate,
      Certificate,
    ];
    const contents = (of: Certificate) => ({
      'client.pem': of.cert,
      'client.key': encryptKey(of.keyFile, PASSPHRASE),
      'client.p12': pkcs12(of, PASSPHRASE),
      'authority.pem': second.cert,
    });
    volume.write(contents(one));
    const authorities = join(volume.path(''), 'authorities');
    mkdirSync(authorities);
    writeFileSync(join(authorities, 'first.pem'), first.cert);
    const forms: TlsOptions[] = [
      { cert: volume.path('client.pem'), key: volume.path('client.key') },
      { pfx: volume.path('client.p12') },
    ];
    const made = forms.map((form) =>
      connect({
        address: own.address,
        auth: token('root'),
        tls: { ca: authorities, passphrase: PASSPHRASE, ...form },
      }),
    );
    for (const { connection } of made)
      expect((await failureOf(connection.client.read('kv1/x'))).code).toBe('VAULT_TLS_UNTRUSTED');
    writeFileSync(join(authorities, 'second.pem'), second.cert);
    for (const { connection } of made) await connection.client.read('kv1/x');
    expect(new Set(shown)).toEqual(new Set(['one']));
    volume.write(contents(two));
    for (const { connection } of made) await connection.client.read('kv1/x');
    expect(shown.slice(-2)).toEqual(['two', 'two']);
    volume.write({ ...contents(one), 'client.key': '', 'client.p12': pkcs12(one, 'another') });
    for (const { connection } of made) await connection.client.read('kv1/x');
    expect(shown.slice(-2)).toEqual(['two', 'two']);
    for (const { bus } of made) {
      expect(warnings(bus)).toEqual([
        expect.stringMatching(/client.key\) is empty|client.p12\) cannot be decrypted/),
      ]);
      expectNoLeak(bus.recent, [PASSPHRASE]);
    }
  });

  it('a client certificate changes: until it fits its key it is not used, and nothing fails', async () => {
    const { own, shown } = await askingForCertificates(first);
    const [one, two] = ['one', 'two'].map((name) => first.issue(name, `DNS:${name}`));
    volume.write({ 'tls.crt': one?.cert ?? '', 'tls.key': one?.key ?? '' });
    const tls = { ca: first.cert, cert: volume.path('tls.crt'), key: volume.path('tls.key') };
    const { connection, bus } = connect({ address: own.address, auth: token('t'), tls });
    const read = () => connection.client.read('kv1/x');
    await read();
    volume.write({ 'tls.crt': two?.cert ?? '', 'tls.key': one?.key ?? '' });
    await read();
    await read();
    volume.write({ 'tls.crt': two?.cert ?? '', 'tls.key': two?.key ?? '' });
    await read();
    expect(shown).toEqual(['one', 'one', 'one', 'one', 'two']);
    const notFitting = /ignored.*`tls.key` is not the key of the first certificate/;
    expect(warnings(bus)).toEqual([expect.stringMatching(notFitting)]);
    expect(bus.recent.filter(({ type }) => type === 'tls-reloaded')).toMatchObject([
      { files: [tls.cert, tls.key], connection: 'default' },
    ]);
    expectNoLeak(bus.recent, [one?.key ?? '', two?.key ?? '']);
  });

  it('a client certificate changes: the first read does not take the connection of the login', async () => {
    const { own, shown } = await askingForCertificates(first, {});
    const [one, two] = ['one', 'two'].map((name) => first.issue(name, `DNS:${name}`));
    volume.write({ 'tls.crt': one?.cert ?? '', 'tls.key': one?.key ?? '' });
    const tls = { ca: first.cert, cert: volume.path('tls.crt'), key: volume.path('tls.key') };
    const sender = transportTo([own.address], tls);
    try {
      const send = (options: Partial<TransportRequest>) =>
        sender.send({ method: 'GET', path: '/v1/kv1/x', headers: {}, timeout: 2_000, ...options });
      await send({ lane: 'vital' });
      await send({ repeatable: true });
      volume.write({ 'tls.crt': two?.cert ?? '', 'tls.key': two?.key ?? '' });
      await sender.clientCertificate();
      await send({ repeatable: true });
      expect(shown).toEqual(['one', 'one', 'two']);
    } finally {
      await sender.close();
    }
  });

  it('all files are removed: their last contents stay in use', async () => {
    const { cert, key } = first.issue('server', 'IP:127.0.0.1');
    const data = { ttl: 0, renewable: false, num_uses: 0 };
    const own = await Recorder.start(
      (_request, response) => void answer(response, 200, { data }, { connection: 'close' }),
      { cert, key },
    );
    volume.write({ 'ca.pem': first.cert });
    const tls = { ca: volume.path('ca.pem') };
    const { connection, bus } = connect({ address: own.address, auth: token('t'), tls });
    await connection.login();
    volume.write({});
    await Promise.all(Array.from({ length: 8 }, () => connection.client.read('kv1/x')));
    expect(warnings(bus)).toEqual([expect.stringMatching(/ca\.pem\) cannot be read \(ENOENT\)/)]);
  });
});

/** A server that asks for client certificates, and the names of those that it was shown, one for each request. */
async function askingForCertificates(
  authority: Authority,
  headers: Record<string, string> = { connection: 'close' },
): Promise<{ own: Recorder; shown: string[] }> {
  const { cert, key } = authority.issue('server', 'IP:127.0.0.1');
  const shown: string[] = [];
  const own = await Recorder.start(
    (request, response) => {
      shown.push(String((request.socket as TLSSocket).getPeerCertificate().subject.CN));
      const data = { ttl: 0, renewable: false, num_uses: 0 };
      answer(response, 200, { data }, headers);
    },
    { cert, key, ca: authority.cert, requestCert: true },
  );
  return { own, shown };
}

/** Common name of the authority that signed the server's certificate. */
function issuerOf(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().issuer.CN));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}
