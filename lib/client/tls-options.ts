/**
 * Trusted authorities and client certificate. The server's certificate is always verified: no option and no environment
 * variable (`NODE_TLS_REJECT_UNAUTHORIZED`, `VAULT_SKIP_VERIFY`) switches that off.
 *
 * `ca`, `cert` and `key` are PEM, or the path of a PEM file; `ca` also the path of a folder of PEM files. Files are read
 * at the start, and again for each new connection, so new contents are used without a restart. While they are invalid
 * (half written, a key of another certificate), the previous contents stay in use, and a `warning` gives the reason.
 *
 * @publicApi
 */
export interface TlsOptions {
  /**
   * Certificate authorities to trust instead of Node's own. Node trusts roots: an intermediate authority needs its root
   * beside it.
   */
  ca?: string | Buffer | readonly (string | Buffer)[];
  /** Client certificate, followed by its intermediates, if any; needs `key`. */
  cert?: string | Buffer;
  /** Private key of the client certificate; needs `cert`. */
  key?: string | Buffer;
  /**
   * Certificate and key of the client in PKCS #12, or the path of such a file, instead of `cert` and `key`. Authorities in
   * it are trusted beside `ca`. Files with old encryption (RC2) are refused, as Node cannot read them.
   */
  pfx?: string | Buffer;
  /** Passphrase of `key` or `pfx`. */
  passphrase?: string;
  /** The name to expect in the server's certificate, if it differs from the host of the address. */
  serverName?: string;
}
