import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { unknownOptions } from '../errors/unknown-options.js';
import { kindOf } from '../errors/kind-of.js';
import { problemOfPfx } from './pfx.js';
import { isSame, readLater, readNow, type Content } from './tls-files.js';
import type { TlsOptions } from './tls-options.js';
import { isPath, isPlainPath, readPem, type PemBlock } from './pem.js';

/** The material of a TLS connection: plain data, which can be sent to a worker thread. Contains the private key. @inline */
export interface TlsMaterial {
  /** PEM blocks, one each. */
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
  /** Certificate and key in PKCS #12. */
  readonly pfx?: Uint8Array;
  readonly passphrase?: string;
  readonly serverName?: string;
}

/** Material, or the problems that prevent it. */
export type TlsReading = { readonly material: TlsMaterial } | { readonly problems: readonly string[] };

/** The checked `tls` options. */
export interface ResolvedTls {
  /** The material at the start. */
  readonly material: TlsMaterial;
  /** Paths of the files in the options. */
  readonly files: readonly string[];
  /** Reads the files again; undefined if their contents have not changed. */
  readonly reread: () => Promise<TlsReading | undefined>;
}

type PemMember = 'ca' | 'cert' | 'key';

/** One string, Buffer or file of the options. */
interface Part {
  readonly member: PemMember | 'pfx';
  readonly label: string;
  /** The path of a file if it is a string. */
  readonly from: Buffer | string;
}

const KNOWN = ['ca', 'cert', 'key', 'pfx', 'passphrase', 'serverName'];

/** Checks the `tls` options and reads the files that they name. */
export function resolveTls(given: unknown, problems: string[]): ResolvedTls | undefined {
  if (given === undefined) return undefined;
  if (typeof given !== 'object' || given === null) {
    problems.push(`\`tls\` must be an object: found ${kindOf(given)}`);
    return undefined;
  }
  const earlier = problems.length;
  problems.push(...unknownOptions('tls', given, KNOWN));
  const options = given as TlsOptions;
  const names = namesOf(options, problems);
  const parts = partsOf(options, problems);
  const { cert, key, pfx, passphrase } = options;
  if ((cert === undefined) !== (key === undefined)) problems.push('`tls.cert` and `tls.key` go together');
  if (pfx !== undefined && (cert ?? key) !== undefined)
    problems.push(
      '`tls.pfx` is given beside `tls.cert` and `tls.key`: both are the certificate of the client',
    );
  if (passphrase !== undefined && (key ?? pfx) === undefined)
    problems.push('`tls.passphrase` is given without `tls.key` or `tls.pfx`');
  const files = [...new Set(parts.flatMap(({ from }) => (typeof from === 'string' ? [from] : [])))];
  const sources = files.map((path) => ({
    path,
    folder: parts.some(({ member, from }) => from === path && member === 'ca'),
  }));
  let contents = new Map(sources.map((one): [string, Content] => [one.path, readNow(one)]));
  const reading = load(parts, contents, names);
  if ('problems' in reading) problems.push(...reading.problems);
  if (problems.length > earlier || 'problems' in reading) return undefined;
  return Object.freeze({
    material: reading.material,
    files: Object.freeze(files),
    reread: async () => {
      const before = contents;
      const read = sources.map(async (one): Promise<[string, Content]> => [one.path, await readLater(one)]);
      contents = new Map(await Promise.all(read));
      const same = files.every((file) => isSame(before.get(file), contents.get(file)));
      return same ? undefined : load(parts, contents, names);
    },
  });
}

type Names = Pick<TlsMaterial, 'passphrase' | 'serverName'>;

function namesOf({ passphrase, serverName }: TlsOptions, problems: string[]): Names {
  if (passphrase !== undefined && (typeof passphrase !== 'string' || passphrase === ''))
    problems.push(`\`tls.passphrase\` must be a string: found ${kindOf(passphrase)}`);
  if (serverName !== undefined && (typeof serverName !== 'string' || serverName === ''))
    problems.push(`\`tls.serverName\` must be a string: found ${kindOf(serverName)}`);
  else if (serverName !== undefined && !isIP(serverName) && !/^[\w-]+(\.[\w-]+)*\.?$/.test(serverName))
    problems.push(
      '`tls.serverName` must be only a host name, as "vault.internal": without scheme, port or blanks',
    );
  return { ...(passphrase !== undefined && { passphrase }), ...(serverName !== undefined && { serverName }) };
}

function partsOf(options: TlsOptions, problems: string[]): Part[] {
  const part = (member: Part['member'], label: string, value: unknown): Part[] => {
    const made = { member, label };
    const format =
      member === 'pfx'
        ? 'PKCS #12 in a Buffer, or the path of such a file'
        : 'a PEM, or the path of a PEM file';
    if (typeof value === 'string' && value !== '')
      return [{ ...made, from: isPath(value) ? value : Buffer.from(value) }];
    if (value instanceof Uint8Array && value.length > 0) return [{ ...made, from: Buffer.from(value) }];
    problems.push(`\`${label}\` must be ${format}: found ${kindOf(value)}`);
    return [];
  };
  const one = (member: Part['member']) =>
    options[member] === undefined ? [] : part(member, `tls.${member}`, options[member]);
  const { ca } = options;
  const list = Array.isArray(ca) && ca.length > 0 ? (ca as unknown[]) : undefined;
  const authorities = list?.flatMap((value, index) => part('ca', `tls.ca[${index}]`, value));
  return [...(authorities ?? one('ca')), ...one('cert'), ...one('key'), ...one('pfx')];
}

function load(parts: readonly Part[], files: ReadonlyMap<string, Content>, names: Names): TlsReading {
  const problems: string[] = [];
  const blocks: Record<PemMember, string[]> = { ca: [], cert: [], key: [] };
  const certificates: Record<PemMember, X509Certificate[]> = { ca: [], cert: [], key: [] };
  let key: KeyObject | undefined;
  let pfx: Buffer | undefined;
  for (const { member, label, from } of parts) {
    const shown = typeof from === 'string' && isPlainPath(from);
    const name = shown ? `\`${label}\` (file ${from})` : `\`${label}\``;
    const content = typeof from === 'string' ? (files.get(from) as Content) : from;
    if (!Buffer.isBuffer(content)) {
      const what = shown ? 'cannot be read' : 'is neither a PEM nor the path of a file that can be read';
      problems.push(`${name} ${what} (${content.failure})`);
      continue;
    }
    if (member === 'pfx') {
      const problem = problemOfPfx(content, names.passphrase);
      if (problem === undefined) pfx = content;
      else problems.push(`${name} ${problem}`);
      continue;
    }
    const read = readPem(content, member === 'key' ? 'private key' : 'certificate');
    if (typeof read === 'string') {
      problems.push(`${name} ${read}`);
      continue;
    }
    if (member === 'key') {
      const [first] = read as [PemBlock];
      const made = readKey(first, names.passphrase);
      if (typeof made === 'string') problems.push(`${name} ${made}`);
      else [key, blocks.key] = [made, [first.text]];
      continue;
    }
    read.forEach(({ text }, index) => {
      const certificate = readCertificate(text);
      if (certificate) certificates[member].push(certificate);
      else
        problems.push(`${name} contains an unreadable certificate (number ${index + 1} of ${read.length})`);
      blocks[member].push(text);
    });
  }
  if (problems.length === 0) {
    const [own] = certificates.cert;
    if (own && key && !own.checkPrivateKey(key))
      problems.push(
        '`tls.key` is not the key of the first certificate in `tls.cert` (a chain begins with the client’s own)',
      );
    const trust = problemOfAuthorities(certificates.ca);
    if (trust) problems.push(trust);
  }
  if (problems.length > 0) return { problems };
  const material: TlsMaterial = Object.freeze({
    // Folders name the same certificate more than once.
    ...(blocks.ca.length > 0 && { ca: Object.freeze([...new Set(blocks.ca)]) }),
    ...(blocks.cert.length > 0 && { cert: blocks.cert.join('\n') }),
    ...(blocks.key[0] !== undefined && { key: blocks.key[0] }),
    ...(pfx && { pfx }),
    ...names,
  });
  const refused = refusalOf(material);
  return refused === undefined ? { material } : { problems: [refused] };
}

function readCertificate(text: string): X509Certificate | undefined {
  try {
    return new X509Certificate(text);
  } catch {
    return undefined;
  }
}

function readKey({ label, text }: PemBlock, passphrase: string | undefined): KeyObject | string {
  const encrypted = label.startsWith('ENCRYPTED') || text.includes('ENCRYPTED');
  if (encrypted && passphrase === undefined) return 'is encrypted, and `tls.passphrase` is missing';
  try {
    return createPrivateKey({ key: text, ...(passphrase !== undefined && { passphrase }) });
  } catch {
    return encrypted ? 'cannot be decrypted with `tls.passphrase`' : 'contains an unreadable private key';
  }
}

/** Reports authorities that cannot end a chain: Node trusts a chain only if it ends in a self-signed certificate. */
function problemOfAuthorities(authorities: readonly X509Certificate[]): string | undefined {
  if (authorities.length === 0 || authorities.some(({ subject, issuer }) => subject === issuer))
    return undefined;
  return authorities.some(({ ca }) => ca)
    ? '`tls.ca` contains an intermediate authority without its root: add the root, or give only the root'
    : '`tls.ca` contains the certificate of a server or client: give that of the authority which signed it';
}

/** Reports further refusals of OpenSSL, as keys that are too short. */
function refusalOf(material: TlsMaterial): string | undefined {
  try {
    secureContext(material);
    return undefined;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return `\`tls\` is invalid (${typeof code === 'string' ? code : 'refused by OpenSSL'})`;
  }
}

/** The authorities and the certificate of the client, for Node. */
export function secureContext({ ca, cert, key, pfx, passphrase }: TlsMaterial): SecureContext {
  return createSecureContext({ ca: ca && [...ca], cert, key, pfx: pfx && Buffer.from(pfx), passphrase });
}
