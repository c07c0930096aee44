import { VaultError, type VaultErrorInit } from '../errors/vault-error.js';
import { isTls, PROXY_REFUSED, type ProxyFailed } from './transport-errors.js';

const HINTS: Readonly<Record<number, string>> = {
  407:
    'It requires a user name and password that it accepts: write them into the URL of `proxy`, percent-encoded, as ' +
    'http://user:password@proxy:3128.',
  403:
    'Allow CONNECT to this host and port there (many proxies allow port 443 only), or except the host by NO_PROXY if it ' +
    'can be reached directly.',
};
const NO_PROXY_SERVER =
  'Another server than a proxy that opens tunnels (CONNECT) answers there: check host and port of `proxy`.';

/**
 * The error of a request for which a proxy opened no tunnel; it names the proxy.
 *
 * @param address the server that should be reached
 */
export function fromProxyFailure(
  { code, status, proxy }: ProxyFailed,
  address: string,
  common: Pick<VaultErrorInit, 'path' | 'outcomeUnknown'>,
): VaultError {
  if (code === PROXY_REFUSED && status !== undefined && status >= 500)
    return new VaultError({
      ...common,
      code: 'VAULT_UNREACHABLE',
      message: `The proxy ${proxy} cannot connect to ${address} (${status}).`,
      hint: 'Check that the server runs, and that the proxy can reach `address`: DNS and firewalls there.',
    });
  if (code === PROXY_REFUSED)
    return new VaultError({
      ...common,
      code: 'VAULT_PROXY_REFUSED',
      message: `The proxy ${proxy} opens no tunnel to ${address} (${status}).`,
      hint: HINTS[status ?? 0] ?? NO_PROXY_SERVER,
    });
  if (code.startsWith('HPE_'))
    return new VaultError({
      ...common,
      code: 'VAULT_PROXY_REFUSED',
      message: `The proxy ${proxy} does not speak HTTP (${code}).`,
      hint: NO_PROXY_SERVER,
    });
  if (isTls(code))
    return new VaultError({
      ...common,
      code: 'VAULT_TLS_UNTRUSTED',
      message: `The TLS connection to the proxy ${proxy} failed: ${code}.`,
      hint:
        'Write http:// in `proxy` if it speaks no TLS itself (most do not; the tunnel is encrypted all the same). Its ' +
        'certificate is verified with the authorities of Node, to which NODE_EXTRA_CA_CERTS adds a file.',
    });
  return new VaultError({
    ...common,
    code: 'VAULT_UNREACHABLE',
    message: `No connection to the proxy ${proxy} (${code || 'connection failed'}).`,
    hint: 'Check the host and port of `proxy`, that the proxy runs, DNS, and firewalls on the way.',
  });
}
