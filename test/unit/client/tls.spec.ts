import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { TlsOptions } from '../../../lib/client/tls-options.js';
import { resolveTls } from '../../../lib/client/tls.js';
import { Authority, encryptKey, opensslAvailable, pkcs12 } from '../../support/certificates.js';

const BODY = 'canary-of-the-key';

describe.skipIf(!opensslAvailable)('tls', () => {
  const root = new Authority('root');
  const other = new Authority('other');
  const intermediate = new Authority('intermediate', root);
  const client = root.issue('client', 'DNS:client');
  const self = root.selfSigned('self', 'DNS:self');
  const dir = mkdtempSync(join(tmpdir(), 'nestjs-vault-tls-'));
  const file = (name: string, content: string | Buffer) => {
    const path = join(dir, name);
    writeFileSync(path, content);
    return path;
  };
  const folder = (name: string, files: Record<string, string>) => {
    mkdirSync(join(dir, name));
    for (const [one, content] of Object.entries(files)) file(join(name, one), content);
    return join(dir, name);
  };
  const pfx = (passphrase: string, ...more: string[]) => pkcs12(client, passphrase, ...more);
  afterAll(() => {
    for (const authority of [root, other, intermediate]) authority.remove();
    rmSync(dir, { recursive: true });
  });

  const der = new X509Certificate(root.cert).raw;
  const key = createPrivateKey(client.key);
  const encrypted = encryptKey(client.keyFile, 'right');
  const publicKey = String(
    new X509Certificate(client.cert).publicKey.export({ type: 'spki', format: 'pem' }),
  );
  const bodyOf = (pem: string) => pem.split('\n').slice(1, -2).join('');

  const problemsOf = (given: unknown) => {
    const problems: string[] = [];
    const resolved = resolveTls(given, problems);
    expect(resolved === undefined).toBe(problems.length > 0);
    return problems.join('; ');
  };
  const mutual = (more: TlsOptions) => ({ cert: client.cert, key: client.key, ...more });

  it.each<[string, unknown, RegExp]>([
    ['no object', 5, /^`tls` must be an object: found a number$/],
    ['null', null, /^`tls` must be an object: found null$/],
    [
      'an empty text, as of an unset variable',
      { ca: '' },
      /^`tls.ca` must be a PEM, or the path.*found an empty string$/,
    ],
    ['blanks', { ca: ' \n' }, /^`tls.ca` is empty$/],
    ['null as an authority', { ca: null }, /^`tls.ca` must be a PEM.*found null$/],
    ['no authorities', { ca: [] }, /^`tls.ca` must be a PEM.*found an empty array$/],
    ['a number', { ca: 5 }, /^`tls.ca` must be a PEM.*found a number$/],
    ['an empty Buffer', { ca: Buffer.alloc(0) }, /found an empty Buffer$/],
    [
      'one of several that is empty',
      { ca: [root.cert, ''] },
      /^`tls.ca\[1\]` must be a PEM.*found an empty string$/,
    ],
    ['a function', { ca: () => root.cert }, /found a function$/],
    [
      'a path without a file',
      { ca: '/nowhere/ca.pem' },
      /^`tls.ca` \(file \/nowhere\/ca.pem\) cannot be read \(ENOENT\)$/,
    ],
    ['a folder of keys', { cert: client.cert, key: dir }, /^`tls.key` .*cannot be read \(EISDIR\)$/],
    [
      'a folder without certificates',
      { ca: folder('none', { 'a.txt': 'x' }) },
      /\(no certificates in this folder\)$/,
    ],
    [
      'a folder with half a certificate',
      { ca: folder('half', { 'a.pem': root.cert, 'b.pem': root.cert.slice(0, 300) + root.cert.slice(310) }) },
      /unreadable certificate \(number 2 of 2\)$/,
    ],
    [
      'PKCS #12 beside a key',
      mutual({ pfx: pfx('right'), passphrase: 'right' }),
      /`tls.pfx` is given beside `tls.cert`/,
    ],
    [
      'PKCS #12 with a wrong passphrase',
      { pfx: pfx('right'), passphrase: BODY },
      /^`tls.pfx` cannot be decrypted with/,
    ],
    [
      'PKCS #12 without its passphrase',
      { pfx: pfx('right') },
      /^`tls.pfx` is encrypted, and `tls.passphrase` is missing$/,
    ],
    [
      'PKCS #12 with RC2',
      { pfx: pfx('right', '-legacy'), passphrase: 'right' },
      /an old algorithm \(RC2\).*openssl pkcs12 -legacy/,
    ],
    [
      'PKCS #12 without a key',
      { pfx: pfx('right', '-nokeys'), passphrase: 'right' },
      /^`tls.pfx` contains no private key$/,
    ],
    [
      'PKCS #12 without a certificate',
      { pfx: pfx('right', '-nocerts'), passphrase: 'right' },
      /contains no certificate of/,
    ],
    ['PEM as PKCS #12', { pfx: Buffer.from(client.cert) }, /^`tls.pfx` is PEM instead of PKCS #12/],
    [
      'half of PKCS #12',
      { pfx: pfx('right').subarray(0, 200), passphrase: 'right' },
      /is not PKCS #12, or truncated$/,
    ],
    [
      'a missing file of PKCS #12',
      { pfx: '/nowhere/a.p12' },
      /^`tls.pfx` \(file \/nowhere\/a.p12\) cannot be read \(ENOENT\)$/,
    ],
    [
      'a number as PKCS #12',
      { pfx: 5 },
      /^`tls.pfx` must be PKCS #12 in a Buffer, or the path of such a file: found/,
    ],
    [
      'a name that is no path',
      { ca: 'vault' },
      /^`tls.ca` is neither a PEM nor the path of a file that can be read \(ENOENT\)$/,
    ],
    ['an empty file', { ca: file('empty.pem', '') }, /^`tls.ca` \(file .*empty.pem\) is empty$/],
    [
      'a PEM on one line',
      { ca: root.cert.trim().replaceAll('\n', ' ') },
      /^`tls.ca` is PEM without its line breaks/,
    ],
    [
      'a PEM with written line breaks',
      { ca: root.cert.trim().replaceAll('\n', '\\n') },
      /without its line breaks/,
    ],
    ['base64 alone', { ca: bodyOf(root.cert) }, /^`tls.ca` is base64 without the lines "-----BEGIN …-----"/],
    ['base64 of a PEM', { ca: Buffer.from(root.cert).toString('base64') }, /is base64 of a PEM: decode it/],
    ['DER', { ca: der }, /is binary \(DER or PKCS #12\).*openssl x509 -inform der/],
    ['a file in DER', { ca: file('ca.der', der) }, /ca.der\) is binary/],
    ['a file in UTF-16', { ca: file('16.pem', Buffer.from(`\uFEFF${root.cert}`, 'utf16le')) }, /is UTF-16/],
    ['UTF-16 without a mark', { ca: Buffer.from(root.cert, 'utf16le') }, /is UTF-16/],
    ['a web page', { ca: Buffer.from('<html>') }, /is not PEM/],
    ['a truncated PEM', { ca: root.cert.slice(0, 200) }, /is truncated PEM/],
    [
      'an invalid certificate',
      { ca: root.cert.replace(/MII/, 'AAA') },
      /contains an unreadable certificate \(number 1 of 1\)/,
    ],
    ['a key as the authority', { ca: client.key }, /^`tls.ca` contains a private key, but no certificate$/],
    [
      'a public key as the authority',
      { ca: publicKey },
      /^`tls.ca` contains "PUBLIC KEY", but no certificate$/,
    ],
    [
      'the certificate of the server',
      { ca: client.cert },
      /contains the certificate of a server or client: give that of the authority/,
    ],
    [
      'an intermediate authority',
      { ca: intermediate.cert },
      /contains an intermediate authority without its root/,
    ],
    ['a certificate without a key', { cert: client.cert }, /^`tls.cert` and `tls.key` go together$/],
    ['a key without a certificate', { key: client.key }, /^`tls.cert` and `tls.key` go together$/],
    [
      'a certificate as the key',
      mutual({ key: client.cert }),
      /^`tls.key` contains a certificate, but no private key$/,
    ],
    ['a key as the certificate', mutual({ cert: client.key }), /^`tls.cert` contains a private key/],
    ['a public key', mutual({ key: publicKey }), /^`tls.key` contains "PUBLIC KEY", but no private key$/],
    ['a key in base64', mutual({ key: bodyOf(client.key) }), /^`tls.key` is base64 without/],
    [
      'a key in DER',
      mutual({ key: key.export({ type: 'pkcs8', format: 'der' }) }),
      /`openssl pkey -inform der`/,
    ],
    [
      'a key of OpenSSH',
      mutual({ key: `-----BEGIN OPENSSH PRIVATE KEY-----\n${BODY}\n-----END OPENSSH PRIVATE KEY-----` }),
      /ssh-keygen/,
    ],
    [
      'an invalid key',
      mutual({ key: `-----BEGIN PRIVATE KEY-----\n${BODY}\n-----END PRIVATE KEY-----` }),
      /^`tls.key` contains an unreadable private key$/,
    ],
    [
      'a key of another certificate',
      mutual({ key: other.issue('k', 'DNS:k').key }),
      /^`tls.key` is not the key of the first certificate in `tls.cert`/,
    ],
    [
      'a chain that begins with its authority',
      mutual({ cert: root.cert + client.cert }),
      /a chain begins with the client’s own/,
    ],
    [
      'a key without its passphrase',
      mutual({ key: encrypted }),
      /^`tls.key` is encrypted, and `tls.passphrase` is missing$/,
    ],
    [
      'a wrong passphrase',
      mutual({ key: encrypted, passphrase: BODY }),
      /^`tls.key` cannot be decrypted with `tls.passphrase`$/,
    ],
    [
      'an empty passphrase',
      mutual({ passphrase: '' }),
      /^`tls.passphrase` must be a string: found an empty string$/,
    ],
    [
      'a passphrase without a key',
      { passphrase: BODY },
      /^`tls.passphrase` is given without `tls.key` or `tls.pfx`$/,
    ],
    [
      'a server name that is a number',
      { serverName: 5 },
      /^`tls.serverName` must be a string: found a number$/,
    ],
    [
      'an empty server name',
      { serverName: '' },
      /^`tls.serverName` must be a string: found an empty string$/,
    ],
    [
      'a server name with a scheme',
      { serverName: 'https://vault' },
      /^`tls.serverName` must be only a host name/,
    ],
    ['a server name with a port', { serverName: 'vault:8200' }, /must be only a host name/],
  ])('%s is refused', (_what, given, problem) => {
    const problems = problemsOf(given);
    expect(problems).toMatch(problem);
    for (const secret of [BODY, client.key, bodyOf(client.key).slice(0, 20)])
      expect(problems).not.toContain(secret);
  });

  it.each<[string, TlsOptions]>([
    ['nothing', {}],
    ['a PEM', { ca: root.cert }],
    ['a Buffer', { ca: Buffer.from(root.cert) }],
    ['a file', { ca: root.certFile }],
    [
      'several in one text, with other words around',
      { ca: `# one\r\n${root.cert}\r\n# two\r\n${other.cert}` },
    ],
    ['several, each in its own way', { ca: [root.cert, other.certFile, Buffer.from(intermediate.cert)] }],
    ['a UTF-8 file with a byte order mark', { ca: file('bom.pem', `\uFEFF${root.cert}`) }],
    ['a self-signed certificate', { ca: self.cert }],
    ['a client certificate with its chain', { cert: client.cert + root.cert, key: client.key }],
    ['files of a client certificate', { cert: client.certFile, key: client.keyFile }],
    ['both in one file', { cert: file('both.pem', client.key + client.cert), key: join(dir, 'both.pem') }],
    ['an encrypted key', { cert: client.cert, key: encrypted, passphrase: 'right' }],
    ['PKCS #12', { pfx: pfx('right'), passphrase: 'right' }],
    ['a file of PKCS #12 without a passphrase', { pfx: file('client.p12', pfx('')) }],
    ['a folder', { ca: folder('authorities', { 'a.pem': root.cert, 'b.crt': other.cert, README: 'text' }) }],
    ['a server name', { serverName: 'vault.internal' }],
    ['an address as the server name', { serverName: '10.0.0.1' }],
  ])('%s is accepted', (_what, given) => {
    expect(problemsOf(given)).toBe('');
  });

  it('returns plain data that can be passed to a worker thread', () => {
    const given = { ca: [root.certFile, other.cert], cert: client.certFile, key: client.keyFile };
    const resolved = resolveTls(given, []);
    const material = structuredClone(resolved?.material);
    expect(material).toEqual(resolved?.material);
    expect(material?.ca).toHaveLength(2);
    expect(resolved?.files).toEqual([root.certFile, client.certFile, client.keyFile]);
  });

  it('a folder stands for the certificates of its files, each once, as they are at the time', async () => {
    const ca = folder('changing', {
      'a.pem': root.cert,
      'b.pem': other.cert + root.cert,
      '.hidden': self.cert,
    });
    mkdirSync(join(ca, '..data'));
    const resolved = resolveTls({ ca: [ca, root.cert] }, []);
    expect(resolved?.material.ca).toEqual([root.cert.trim(), other.cert.trim()]);
    expect(resolved?.files).toEqual([ca]);
    expect(await resolved?.reread()).toBeUndefined();
    file('changing/c.pem', intermediate.cert);
    expect(await resolved?.reread()).toMatchObject({ material: { ca: { length: 3 } } });
    rmSync(ca, { recursive: true });
    expect(await resolved?.reread()).toMatchObject({ problems: [expect.stringMatching(/ENOENT/)] });
  });

  it('files are checked again only after their contents have changed', async () => {
    const ca = file('changing.pem', root.cert);
    const resolved = resolveTls({ ca }, []);
    const reread = () => resolved?.reread();
    expect(await reread()).toBeUndefined();
    file('changing.pem', '');
    expect(await reread()).toEqual({ problems: [expect.stringMatching(/changing.pem\) is empty/)] });
    expect(await reread()).toBeUndefined();
    rmSync(ca);
    expect(await reread()).toEqual({ problems: [expect.stringMatching(/ENOENT/)] });
    expect(await reread()).toBeUndefined();
    file('changing.pem', other.cert);
    expect(await reread()).toEqual({ material: { ca: [other.cert.trim()] } });
  });
});
