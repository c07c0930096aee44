import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { unknownOptions } from '../errors/unknown-options.js';
import { kindOf } from '../errors/kind-of.js';
import type { TlsOptions } from './tls-options.js';
import { isPath, isPlainPath, readPem, type PemBlock, type Wanted } from './pem.js';

/** The material of a TLS connection: plain data, which can be sent to a worker thread. Contains the private key. @inline */
export interface TlsMaterial {
  /** PEM blocks, one each. */
  readonly ca?: readonly string[];
  readonly cert?: string;
  readonly key?: string;
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

type Member = 'ca' | 'cert' | 'key';

/** One string, Buffer or file of the options. */
interface Part {
  readonly member: Member;
  readonly label: string;
  readonly wanted: Wanted;
  /** The path of a file if it is a string. */
  readonly from: Buffer | string;
}

/** The contents of a file, or the reason why it cannot be read. */
type Content = Buffer | { readonly failure: string };

const KNOWN = ['ca', 'cert', 'key', 'passphrase', 'serverName'];

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
  const { cert, key, passphrase } = options;
  if ((cert === undefined) !== (key === undefined)) problems.push('`tls.cert` and `tls.key` go together');
  if (passphrase !== undefined && key === undefined)
    problems.push('`tls.passphrase` is given without `tls.key`');
  const files = [...new Set(parts.flatMap(({ from }) => (typeof from === 'string' ? [from] : [])))];
  let contents = new Map(files.map((file): [string, Content] => [file, readNow(file)]));
  const reading = load(parts, contents, names);
  if ('problems' in reading) problems.push(...reading.problems);
  if (problems.length > earlier || 'problems' in reading) return undefined;
  return Object.freeze({
    material: reading.material,
    files: Object.freeze(files),
    reread: async () => {
      const before = contents;
      const read = files.map(async (file): Promise<[string, Content]> => [file, await readLater(file)]);
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
  const part = (member: Member, label: string, value: unknown): Part[] => {
    const wanted = member === 'key' ? 'private key' : 'certificate';
    const made = { member, label, wanted } as const;
    if (typeof value === 'string' && value !== '')
      return [{ ...made, from: isPath(value) ? value : Buffer.from(value) }];
    if (value instanceof Uint8Array && value.length > 0) return [{ ...made, from: Buffer.from(value) }];
    problems.push(`\`${label}\` must be a PEM, or the path of a PEM file: found ${kindOf(value)}`);
    return [];
  };
  const one = (member: Member) =>
    options[member] === undefined ? [] : part(member, `tls.${member}`, options[member]);
  const { ca } = options;
  const list = Array.isArray(ca) && ca.length > 0 ? (ca as unknown[]) : undefined;
  const authorities = list?.flatMap((value, index) => part('ca', `tls.ca[${index}]`, value));
  return [...(authorities ?? one('ca')), ...one('cert'), ...one('key')];
}

function load(parts: readonly Part[], files: ReadonlyMap<string, Content>, names: Names): TlsReading {
  const problems: string[] = [];
  const blocks: Record<Member, string[]> = { ca: [], cert: [], key: [] };
  const certificates: Record<Member, X509Certificate[]> = { ca: [], cert: [], key: [] };
  let key: KeyObject | undefined;
  for (const { member, label, wanted, from } of parts) {
    const shown = typeof from === 'string' && isPlainPath(from);
    const name = shown ? `\`${label}\` (file ${from})` : `\`${label}\``;
    const content = typeof from === 'string' ? (files.get(from) as Content) : from;
    if (!Buffer.isBuffer(content)) {
      const what = shown ? 'cannot be read' : 'is neither a PEM nor the path of a file that can be read';
      problems.push(`${name} ${what} (${content.failure})`);
      continue;
    }
    const read = readPem(content, wanted);
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
    ...(blocks.ca.length > 0 && { ca: Object.freeze(blocks.ca) }),
    ...(blocks.cert.length > 0 && { cert: blocks.cert.join('\n') }),
    ...(blocks.key[0] !== undefined && { key: blocks.key[0] }),
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
function refusalOf({ ca, cert, key, passphrase }: TlsMaterial): string | undefined {
  try {
    createSecureContext({ ca: ca as string[] | undefined, cert, key, passphrase });
    return undefined;
  } catch (error) {
    const { code } = error as { code?: unknown };
    return `\`tls\` is invalid (${typeof code === 'string' ? code : 'refused by OpenSSL'})`;
  }
}

function readNow(file: string): Content {
  try {
    return readFileSync(file);
  } catch (error) {
    return failed(error);
  }
}

function readLater(file: string): Promise<Content> {
  return readFile(file).catch(failed);
}

function isSame(one: Content | undefined, other: Content | undefined): boolean {
  if (Buffer.isBuffer(one) && Buffer.isBuffer(other)) return one.equals(other);
  return !Buffer.isBuffer(one) && !Buffer.isBuffer(other) && one?.failure === other?.failure;
}

function failed(error: unknown): Content {
  const { code } = error as NodeJS.ErrnoException;
  return { failure: typeof code === 'string' ? code : 'unknown error' };
}
