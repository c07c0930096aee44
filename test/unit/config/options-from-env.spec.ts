import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import { ENVIRONMENT, type Use } from '../../../lib/config/environment.js';
import { goBoolean, goDuration } from '../../../lib/config/go-values.js';
import { vaultOptionsFromEnv } from '../../../lib/config/options-from-env.js';
import { VaultError } from '../../../lib/errors/vault-error.js';
import { Secret } from '../../../lib/secret/secret.js';

const ADDRESS = 'https://vault.internal:8200';

function errorOf(env: Record<string, string>): VaultError {
  try {
    vaultOptionsFromEnv(env);
  } catch (error) {
    return error as VaultError;
  }
  throw new Error('no error');
}

it('every variable that is taken becomes its option', () => {
  const options = vaultOptionsFromEnv({
    VAULT_ADDR: ADDRESS,
    VAULT_NAMESPACE: 'team/app',
    VAULT_HEADERS: '{"X-Gateway": "key"}',
    VAULT_CLIENT_TIMEOUT: '1m30s',
    VAULT_CACERT: '/etc/ca.pem',
    VAULT_CLIENT_CERT: '/etc/client.pem',
    VAULT_CLIENT_KEY: '/etc/client.key',
    VAULT_TLS_SERVER_NAME: 'vault.example',
  });
  expect({ ...options, headers: { ...options.headers } }).toEqual({
    address: ADDRESS,
    namespace: 'team/app',
    headers: { 'X-Gateway': 'key' },
    timeout: 90_000,
    tls: {
      ca: ['/etc/ca.pem'],
      cert: '/etc/client.pem',
      key: '/etc/client.key',
      serverName: 'vault.example',
    },
  });
});

it('contents are taken as bytes, beside or instead of files', () => {
  const { tls } = vaultOptionsFromEnv({
    BAO_ADDR: ADDRESS,
    BAO_CACERT: '/etc/ca.pem',
    BAO_CACERT_BYTES: 'ca',
    BAO_CAPATH: '/etc/authorities',
    BAO_CLIENT_CERT_BYTES: 'cert',
    BAO_CLIENT_KEY_BYTES: 'key',
  });
  expect(tls?.ca).toEqual(['/etc/ca.pem', Buffer.from('ca'), '/etc/authorities']);
  expect([String(tls?.cert), tls?.cert?.length]).toEqual(['[redacted]', 4]);
  const both = vaultOptionsFromEnv({
    BAO_ADDR: ADDRESS,
    BAO_CLIENT_CERT: '/c.pem',
    BAO_CLIENT_CERT_BYTES: 'cert',
    BAO_CLIENT_KEY: '/k.pem',
    BAO_CLIENT_KEY_BYTES: 'key',
  });
  expect(both.tls).toEqual({ cert: '/c.pem', key: '/k.pem' });
});

it('a proxy is taken, the variable with the newer name first', () => {
  const env = { VAULT_ADDR: ADDRESS, VAULT_HTTP_PROXY: 'http://old:3128' };
  expect(vaultOptionsFromEnv(env).proxy).toEqual(new Secret('http://old:3128'));
  expect(vaultOptionsFromEnv({ ...env, VAULT_PROXY_ADDR: 'http://new:1' }).proxy).toEqual(
    new Secret('http://new:1'),
  );
  // Without the option, these are not read.
  expect(vaultOptionsFromEnv({ VAULT_ADDR: ADDRESS, HTTPS_PROXY: 'http://any:1' })).toEqual({
    address: ADDRESS,
  });
});

it('BAO_ is used before VAULT_, also if it is empty; an empty variable counts as unset', () => {
  const VAULT = { VAULT_ADDR: ADDRESS, VAULT_NAMESPACE: 'old' };
  expect(vaultOptionsFromEnv({ ...VAULT, BAO_NAMESPACE: 'new' }).namespace).toBe('new');
  expect(vaultOptionsFromEnv({ ...VAULT, BAO_NAMESPACE: '' })).toEqual({ address: ADDRESS });
  expect(vaultOptionsFromEnv({ ...VAULT, VAULT_CACERT: '' })).toEqual({ address: ADDRESS, namespace: 'old' });
});

it('the scheme of the address may be in upper case', () => {
  const tls = { ca: ['/etc/ca.pem'], cert: '/etc/client.pem', key: '/etc/client.key' };
  expect(
    vaultOptionsFromEnv({
      VAULT_ADDR: 'HTTPS://vault.internal:8200',
      VAULT_CACERT: '/etc/ca.pem',
      VAULT_CLIENT_CERT: '/etc/client.pem',
      VAULT_CLIENT_KEY: '/etc/client.key',
    }).tls,
  ).toEqual(tls);
});

it('the address of an agent is used before that of the server, and needs none of its TLS', () => {
  const env = { BAO_ADDR: ADDRESS, VAULT_AGENT_ADDR: 'http://127.0.0.1:8100', VAULT_CACERT: '/etc/ca.pem' };
  expect(vaultOptionsFromEnv(env)).toEqual({ address: 'http://127.0.0.1:8100' });
});

it.each<[string, Record<string, string>, RegExp]>([
  ['without an address', {}, /VAULT_ADDR is not set/],
  ['with an empty address', { VAULT_ADDR: '' }, /VAULT_ADDR is not set/],
  ['with an invalid address', { VAULT_ADDR: 'vault:8200' }, /: VAULT_ADDR must be a URL/],
  ['with another prefix', { BAO_ADDR: 'vault:8200' }, /: BAO_ADDR must be a URL/],
  [
    'with the address of an agent',
    { VAULT_AGENT_ADDR: 'x', VAULT_ADDR: ADDRESS },
    /VAULT_AGENT_ADDR must be/,
  ],
  ['with a list', { VAULT_ADDR: `${ADDRESS},${ADDRESS}` }, /VAULT_ADDR is a list/],
  ['with a namespace', { VAULT_NAMESPACE: 'a//b' }, /: VAULT_NAMESPACE must be names/],
  ['with headers that are no JSON', { VAULT_HEADERS: 'x=1' }, /VAULT_HEADERS must be a JSON object/],
  ['with headers that are a text', { VAULT_HEADERS: '"x"' }, /VAULT_HEADERS must be a JSON object/],
  [
    'with a reserved header',
    { VAULT_HEADERS: '{"X-Vault-Token": "t"}' },
    /VAULT_HEADERS: it sets the header/,
  ],
  ['with a time of no unit', { VAULT_CLIENT_TIMEOUT: '9x' }, /VAULT_CLIENT_TIMEOUT must be a duration above/],
  ['with a time of 0', { VAULT_CLIENT_TIMEOUT: '0' }, /VAULT_CLIENT_TIMEOUT must be a duration above 0/],
  ['with a time that is too long', { VAULT_CLIENT_TIMEOUT: '999d' }, /VAULT_CLIENT_TIMEOUT must be a number/],
  ['with a certificate alone', { VAULT_CLIENT_CERT: '/c.pem' }, /VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go/],
  ['with a server name', { VAULT_TLS_SERVER_NAME: 'a b' }, /`tls.serverName`|VAULT_TLS_SERVER_NAME must be/],
  ['with a proxy', { VAULT_HTTP_PROXY: 'socks5://x' }, /: VAULT_HTTP_PROXY names a SOCKS proxy/],
  ['without verification', { VAULT_SKIP_VERIFY: '1' }, /VAULT_SKIP_VERIFY is refused: .*VAULT_CACERT/],
  ['with an unreadable boolean', { BAO_SKIP_VERIFY: 'yes' }, /BAO_SKIP_VERIFY is refused/],
  ['with DNS SRV', { VAULT_SRV_LOOKUP: 'true' }, /VAULT_SRV_LOOKUP is refused/],
  ['with wrapping', { VAULT_WRAP_TTL: '5m' }, /VAULT_WRAP_TTL is refused/],
])('%s, the error names the variable', (_what, env, message) => {
  const alone = Object.keys(env).some((name) => name.endsWith('ADDR')) || Object.keys(env).length === 0;
  const error = errorOf(alone ? env : { VAULT_ADDR: ADDRESS, ...env });
  expect(error).toBeInstanceOf(VaultError);
  expect(error.code).toBe('VAULT_CONFIG_INVALID');
  expect(error.message).toMatch(message);
  expect(error.message).not.toContain('`address`');
});

it('all problems are in one error', () => {
  const { message } = errorOf({ VAULT_SKIP_VERIFY: 'true', VAULT_CLIENT_TIMEOUT: 'soon' });
  expect(message).toMatch(/SKIP_VERIFY.*CLIENT_TIMEOUT.*VAULT_ADDR is not set/);
});

it('variables that are false or ignored change nothing', () => {
  const ignored = Object.entries(ENVIRONMENT).filter(([, { use }]) => use === 'ignored');
  const env = Object.fromEntries(ignored.map(([name]) => [`VAULT_${name}`, 'x']));
  const unused = { VAULT_SKIP_VERIFY: 'false', VAULT_SRV_LOOKUP: '0' };
  expect(vaultOptionsFromEnv({ ...env, ...unused, VAULT_ADDR: ADDRESS })).toEqual({ address: ADDRESS });
});

it('no secret is printed, neither of the options nor of an error', () => {
  const canary = 'canary-5f1e';
  const env = {
    VAULT_ADDR: ADDRESS,
    VAULT_HEADERS: JSON.stringify({ 'x-gateway': canary }),
    VAULT_CLIENT_CERT_BYTES: canary,
    VAULT_CLIENT_KEY_BYTES: canary,
    VAULT_PROXY_ADDR: `http://user:${canary}@proxy:3128`,
  };
  const options = vaultOptionsFromEnv(env);
  const copy = { ...options };
  for (const printed of [options, copy]) {
    expect(inspect(printed, { depth: 9, showHidden: true }) + JSON.stringify(printed)).not.toContain(canary);
    expect(inspect(printed, { depth: 9 })).not.toContain(Buffer.from(canary).toString('hex').slice(0, 8));
    expect(inspect(printed, { depth: 9 })).not.toContain('63 61 6e 61');
  }
  for (const name of Object.keys(ENVIRONMENT)) {
    for (const value of [` ${canary}`, `{${canary}`, `https://${canary}:99999999`, canary]) {
      try {
        vaultOptionsFromEnv({ VAULT_ADDR: ADDRESS, [`VAULT_${name}`]: value });
      } catch (error) {
        expect(inspect(error)).not.toContain(canary);
      }
    }
  }
});

// From `api/client.go` of HashiCorp Vault (api v1.23.0) and of OpenBao (2.7), and the format of their command lines.
const GO_CLIENTS =
  `ADDR AGENT_ADDR CACERT CACERT_BYTES CAPATH CLIENT_CERT CLIENT_CERT_BYTES CLIENT_KEY CLIENT_KEY_BYTES
  CLIENT_TIMEOUT DISABLE_REDIRECTS FORMAT HEADERS HTTP_PROXY MAX_RETRIES MFA NAMESPACE PROXY_ADDR RATE_LIMIT SKIP_VERIFY
  SRV_LOOKUP TLS_SERVER_NAME TOKEN TOKEN_PATH WRAP_TTL`.split(/\s+/);

it('the page of the documentation and the code have the same use of every variable of the Go clients', () => {
  const page = readFileSync(new URL('../../../docs/reaching-the-server.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `_([A-Z_]+)` +\| (.+?) +\|/gm)];
  const documented = Object.fromEntries(rows.map(([, name, use]) => [name, use]));
  const useOf = (rule: Use) => {
    if (rule.use === 'taken') return `taken: \`${rule.option}\``;
    return rule.use === 'refused' ? 'refused unless false' : rule.use;
  };
  const used = Object.fromEntries(Object.entries(ENVIRONMENT).map(([name, rule]) => [name, useOf(rule)]));
  expect(documented).toEqual(used);
  expect(Object.keys(used).toSorted((one, other) => (one < other ? -1 : 1))).toEqual(GO_CLIENTS);
});

it.each<[string, number | undefined]>([
  ['90', 90_000],
  ['+5', 5_000],
  ['2d', 172_800_000],
  ['90s', 90_000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['.5s', 500],
  ['250ms', 250],
  ['100us', 0.1],
  ['0', 0],
  ['', undefined],
  ['-5s', undefined],
  ['5 s', undefined],
  ['5S', undefined],
  ['1h x', undefined],
  ['ten', undefined],
  ['1e3s', undefined],
])('a duration of Go: %j', (text, milliseconds) => {
  expect(goDuration(text)).toBe(milliseconds === undefined ? undefined : milliseconds);
});

it('booleans of Go', () => {
  expect(['1', 't', 'TRUE', 'True', 'true'].map(goBoolean)).toEqual(Array(5).fill(true));
  expect(['0', 'f', 'FALSE', 'False', 'false'].map(goBoolean)).toEqual(Array(5).fill(false));
  expect(['yes', 'tRUE', '', '2'].map(goBoolean)).toEqual(Array(4).fill(undefined));
});
