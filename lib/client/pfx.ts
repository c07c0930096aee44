import { createSecureContext } from 'node:tls';

/**
 * The problem of a PKCS #12 file, as the end of a sentence that does not show it; undefined if Node can use it.
 * Only Node can read the format, and it reports the reasons in words.
 */
export function problemOfPfx(pfx: Buffer, passphrase: string | undefined): string | undefined {
  if (pfx.includes('-----BEGIN ')) return 'is PEM instead of PKCS #12: give it as `tls.cert` and `tls.key`';
  try {
    createSecureContext({ pfx, passphrase });
    return undefined;
  } catch (error) {
    const { message } = error as Error;
    if (/mac verify failure/i.test(message))
      return passphrase === undefined
        ? 'is encrypted, and `tls.passphrase` is missing'
        : 'cannot be decrypted with `tls.passphrase`';
    if (/unsupported/i.test(message))
      return (
        'is encrypted by an old algorithm (RC2), which Node refuses: convert it with `openssl pkcs12 -legacy -in old.p12 ' +
        '-nodes | openssl pkcs12 -export -out new.p12`'
      );
    if (/private key/i.test(message)) return 'contains no private key';
    if (/certificate/i.test(message)) return 'contains no certificate of the client';
    return 'is not PKCS #12, or truncated';
  }
}
