import { withHidden } from '../secret/hidden.js';
import type { VaultOptions } from './options.js';

/** Options whose values may be secret: the key of a gateway, a private key and its passphrase. */
const SECRET = ['headers', 'tls'] as const;

/** The same options, but no printer finds their secret members: Nest keeps them in the container of the application. */
export function hideSecretOptions(options: VaultOptions): VaultOptions {
  // An invalid value is returned as it is, and reported later.
  if (typeof options !== 'object' || options === null) return options;
  const secret = SECRET.filter((name) => options[name] !== undefined);
  if (secret.length === 0) return options;
  const shown = Object.getOwnPropertyDescriptors(options) as PropertyDescriptorMap;
  for (const name of secret) delete shown[name];
  const copy = Object.create(Object.getPrototypeOf(options) as object, shown) as VaultOptions;
  return secret.reduce((owner, name) => withHidden(owner, name, () => options[name]), copy);
}
