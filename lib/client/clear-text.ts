import type { ClientOptions } from './client-options.js';
import { VaultError } from '../errors/vault-error.js';
import { socketPathOf } from './server-address.js';

/**
 * Addresses to which logins, tokens and secrets would be sent in clear over a network.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` if there are any, and `allowHttp` does not permit it
 */
export function assertMayTravel({ name, addresses, allowHttp }: ClientOptions): readonly string[] {
  const inClear = addresses.filter((address) => address.startsWith('http:') && !isLocal(address));
  if (inClear.length === 0 || allowHttp) return inClear;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message:
      `The options of the Vault connection "${name}" are invalid: \`address\` (${inClear.join(', ')}) would send ` +
      'logins, tokens and secrets over the network in clear.',
    hint:
      'Write https:// instead. If that is not possible (a test server in CI, a service mesh that encrypts), add to ' +
      'the options:  allowHttp: true',
  });
}

/** Whether an address is on this machine, so that no request passes a network. */
export function isLocal(address: string): boolean {
  if (socketPathOf(address) !== undefined) return true;
  const host = new URL(address).hostname.replace(/\.$/, '');
  return /(^|\.)localhost$/.test(host) || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
