/** Number of fields of the public key, by type of the certificate (PROTOCOL.certkeys of OpenSSH). */
const KEY_FIELDS: Readonly<Record<string, number>> = {
  'ssh-rsa': 2,
  'ssh-dss': 4,
  'ecdsa-sha2-nistp256': 2,
  'ecdsa-sha2-nistp384': 2,
  'ecdsa-sha2-nistp521': 2,
  'ssh-ed25519': 1,
  'sk-ecdsa-sha2-nistp256': 3,
  'sk-ssh-ed25519': 2,
};
const NO_END = 2n ** 64n - 1n;

/**
 * The end of validity of an OpenSSH certificate, in seconds since 1970; undefined if it has none or cannot be parsed.
 *
 * @param certificate as in a file: type, base64, comment
 */
export function validBefore(certificate: string): number | undefined {
  const blob = Buffer.from(/^\S+ +(\S+)/.exec(certificate)?.[1] ?? '', 'base64');
  let at = 0;
  const field = () => {
    const start = at + 4;
    at = start + blob.readUInt32BE(at);
    return blob.subarray(start, at);
  };
  const skip = (fields: number) => {
    for (let index = 0; index < fields; index++) field();
  };
  try {
    const type = field().toString('latin1');
    const keyFields = KEY_FIELDS[type.replace(/-cert-v01@openssh\.com$/, '')];
    if (keyFields === undefined) return undefined;
    // Nonce, key, serial number and kind (12 bytes), id and principals, start of validity (8 bytes).
    skip(1 + keyFields);
    at += 12;
    skip(2);
    const end = blob.readBigUInt64BE(at + 8);
    return end < NO_END ? Number(end) : undefined;
  } catch {
    // The certificate is truncated.
    return undefined;
  }
}
