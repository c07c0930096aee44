import { hasUtf16Mark } from '../secret/secret-text.js';

/** Limit of one option or file in bytes; the bundles of operating systems have some 300 KiB. */
const LONGEST = 4 * 1024 * 1024;

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----([^-]*(?:-(?!----)[^-]*)*)-----END \1-----/g;
const CERTIFICATE = /^(X509 |TRUSTED )?CERTIFICATE$/;
const PRIVATE_KEY = /^(RSA |EC |DSA |ENCRYPTED )?PRIVATE KEY$/;
const BASE64 = /^[A-Za-z0-9+/=_\s-]+$/;

export type Wanted = 'certificate' | 'private key';

/** One PEM block of the wanted kind. */
export interface PemBlock {
  readonly label: string;
  readonly text: string;
}

/**
 * The certificates, or the private keys, in the bytes of an option or a file.
 *
 * @returns if there is none, a string: a description of the actual content as the end of a sentence, which does not
 * show it
 */
export function readPem(bytes: Buffer, wanted: Wanted): readonly PemBlock[] | string {
  if (bytes.length > LONGEST) return `has more than ${LONGEST / 1024 ** 2} MiB`;
  if (isDer(bytes))
    return (
      `is binary (DER or PKCS #12) instead of PEM: convert it with \`${converter(wanted)} -inform der\`, or give PKCS #12 ` +
      'as `tls.pfx`'
    );
  if (isUtf16(bytes)) return 'is UTF-16: save it as UTF-8 (PowerShell: Set-Content -Encoding ascii)';
  const text = bytes.toString('utf8');
  if (text.trim() === '') return 'is empty';
  if (!text.includes('-----BEGIN ')) return withoutBlocks(text, wanted);
  const blocks = [...text.matchAll(BLOCK)].map(([block, label = '', body = '']) => ({ label, body, block }));
  if (blocks.length === 0) return 'is truncated PEM, or does not end with its line "-----END …-----"';
  const right = blocks.filter(({ label }) =>
    (wanted === 'certificate' ? CERTIFICATE : PRIVATE_KEY).test(label),
  );
  if (right.length === 0)
    return insteadOf(
      wanted,
      blocks.map(({ label }) => label),
    );
  if (right.some(({ body }) => !/\n\s*\S/.test(body) || body.includes('\\n')))
    return 'is PEM without its line breaks: replace "\\n" or blanks by real ones, or give the path of a file';
  return right.map(({ label, block }) => ({ label, text: block }));
}

/** Whether a string is meant as a path: otherwise any string that is not PEM would be reported as a missing file. */
export function isPath(text: string): boolean {
  const encoded = text.length >= 100 && /^(M|LS0t)/.test(text) && BASE64.test(text);
  return !encoded && text.length <= 4096 && !/[\r\n\0]|-----/.test(text) && text.trim() !== '';
}

/** Whether a path may be shown: encoded keys begin differently, and have no dot. */
export function isPlainPath(text: string): boolean {
  return text.length <= 1024 && /^(~?\/|\.{1,2}[\\/]|[A-Za-z]:[\\/])|^[\w./\\-]+\.[a-z]{2,6}$/.test(text);
}

function withoutBlocks(text: string, wanted: Wanted): string {
  const compact = text.replace(/\s/g, '');
  if (!BASE64.test(compact)) return 'is not PEM: it has no line "-----BEGIN …-----"';
  const decoded = Buffer.from(compact, 'base64');
  if (decoded.includes('-----BEGIN ')) return 'is base64 of a PEM: decode it first, as `base64 -d` does';
  return `is base64 without the lines "-----BEGIN …-----" and "-----END …-----" of PEM (${wanted})`;
}

function insteadOf(wanted: Wanted, labels: readonly string[]): string {
  const other = wanted === 'certificate' ? PRIVATE_KEY : CERTIFICATE;
  if (labels.some((label) => other.test(label)))
    return wanted === 'certificate'
      ? 'contains a private key, but no certificate'
      : 'contains a certificate, but no private key';
  if (labels.includes('OPENSSH PRIVATE KEY'))
    return 'contains a key in the format of OpenSSH: convert it with `ssh-keygen -p -m pem`';
  // Labels are printed by tools around the content, and are no part of it.
  return `contains "${labels[0]}", but no ${wanted}`;
}

function converter(wanted: Wanted): string {
  return wanted === 'certificate' ? 'openssl x509' : 'openssl pkey';
}

/** Whether bytes begin with an ASN.1 SEQUENCE, like every certificate, key and PKCS #12 file. */
function isDer(bytes: Buffer): boolean {
  const [first, second = 0] = bytes;
  return first === 0x30 && (second > 0x80 || second === bytes.length - 2);
}

/** Whether bytes are UTF-16: by their byte order mark, or as ASCII characters with NUL bytes. */
function isUtf16(bytes: Buffer): boolean {
  return hasUtf16Mark(bytes) || bytes.subarray(0, 64).includes(0);
}
