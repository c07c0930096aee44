import type { VaultOptions } from './options.js';

const ORIGINALS = new WeakMap<object, VaultOptions>();

/** The object that the application gave: its identity says which options are the same. */
export function originalOptions(options: VaultOptions): VaultOptions {
  return ORIGINALS.get(options) ?? options;
}

/**
 * The same options, but no printer finds `headers`, `tls` and `proxy`, whose values may be secret: the key of a gateway, a
 * private key, a password. Nest keeps the options in the container of the application.
 */
export function hideSecretOptions(options: VaultOptions): VaultOptions {
  try {
    const { headers, tls, proxy, ...shown } = options;
    if (headers === undefined && tls === undefined && proxy === undefined) return options;
    // Printers read the target of a proxy. A class may have further options, as getters of its prototype.
    const hidden = new Proxy(shown, {
      get: (target, name) => Reflect.get(name in target ? target : options, name) as unknown,
    });
    ORIGINALS.set(hidden, options);
    return hidden;
  } catch {
    // Options that are no object, or that cannot be read, are reported where they are checked.
    return options;
  }
}
