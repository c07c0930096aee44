import type { ResolvedOptions } from '../config/resolved-options.js';
import { VaultError } from '../errors/vault-error.js';

/**
 * Addresses at which secret_ids, tokens and secrets would be sent over a network in clear.
 *
 * @throws VaultError `VAULT_CONFIG_INVALID` where there are any, and `allowHttp` does not permit it
 */
export function assertMayTravel({ name, addresses, allowHttp }: ResolvedOptions): readonly string[] {
  const inClear = addresses.filter((address) => address.startsWith('http:') && !isLoopback(new URL(address)));
  if (inClear.length === 0 || allowHttp) return inClear;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message:
      `The options of the Vault connection "${name}" cannot be used: \`address\` (${inClear.join(', ')}) would send ` +
      'secret_ids, tokens and secrets over the network in clear.',
    hint:
      'Write https:// instead. Where that cannot be (a throw-away server in CI, a mesh that encrypts by itself), add ' +
      'to the options:  allowHttp: true',
  });
}

/** Whether it is this machine: what is sent there passes no network. */
function isLoopback({ hostname }: URL): boolean {
  const host = hostname.replace(/\.$/, '');
  return /(^|\.)localhost$/.test(host) || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}
