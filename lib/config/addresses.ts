import { kindOf } from '../errors/kind-of.js';

const EXAMPLE = '"https://vault.internal:8200"';
const SOCKET_EXAMPLE = '"unix:///run/openbao/agent.sock"';
/** Bytes of the path of a socket on Linux; other systems accept fewer. */
const LONGEST_SOCKET = 107;

/** Checks and normalises the addresses; '' in place of an invalid one. */
export function resolveAddresses(address: unknown, problems: string[]): readonly string[] {
  const list: readonly unknown[] = Array.isArray(address) ? address : [address];
  if (list.length === 0 || address === undefined || list.some((one) => one === '')) {
    problems.push(`\`address\` is missing (as ${EXAMPLE})`);
    return [];
  }
  const addresses = list.map((one, index) => {
    const label = list.length > 1 ? `\`address[${index}]\`` : '`address`';
    const read = readAddress(one);
    for (const problem of read.problems) problems.push(`${label} ${problem}`);
    return read.address;
  });
  const schemes = new Set(addresses.map((one) => one.slice(0, one.indexOf(':'))));
  if (schemes.has('https') && schemes.has('http')) {
    problems.push('`address` mixes http:// and https://, so a token could travel in clear');
  }
  return Object.freeze(addresses);
}

function readSocket(address: string): { address: string; problems: string[] } {
  const path = address.slice('unix://'.length);
  const problems: string[] = [];
  if (!address.startsWith('unix:///') || path.endsWith('/'))
    problems.push(`must name a socket by its absolute path, as ${SOCKET_EXAMPLE}`);
  // oxlint-disable-next-line no-control-regex
  if (/[\s\u0000-\u0020\u007f?#]/.test(path))
    problems.push('names a socket whose path has blanks, "?" or "#" in it');
  if (Buffer.byteLength(path) > LONGEST_SOCKET)
    problems.push(`names a socket whose path is longer than ${LONGEST_SOCKET} bytes`);
  if (process.platform === 'win32')
    problems.push('names a Unix socket, which this package cannot use on Windows');
  return { address: problems.length > 0 ? '' : address, problems };
}

function readAddress(given: unknown): { address: string; problems: string[] } {
  if (typeof given === 'string' && given.startsWith('unix:')) return readSocket(given);
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined;
  const spelling = problemOf(given, url);
  if (!url || spelling !== undefined)
    return { address: '', problems: [spelling ?? 'cannot be read as a URL'] };
  const problems: string[] = [];
  if (url.username || url.password) problems.push('must not hold a user name or password');
  if (url.search || url.hash) problems.push('must not hold "?" or "#"');
  if (/\/v1\/?$/.test(url.pathname)) problems.push('must not end in /v1, which is added');
  return { address: url.origin + url.pathname.replace(/\/$/, ''), problems };
}

/** The problem of an address. Shows nothing of the value: it may be a secret in the wrong place. */
function problemOf(given: unknown, url: URL | undefined): string | undefined {
  if (given instanceof URL) return 'must be a string: found a URL object, so give its `href`';
  if (typeof given !== 'string') return `must be a string, as ${EXAMPLE}: found ${kindOf(given)}`;
  if (given.includes('\uFEFF'))
    return 'begins with a byte order mark (U+FEFF), which does not show: remove it';
  if (/^["'“”]|["'“”]$/.test(given.trim())) return 'has quotation marks around it: remove them';
  if (/[,;|\s]\s*(https?|unix):/i.test(given.trim()))
    return `is a list in one string: give an array, as [${EXAMPLE}, …]`;
  // The URL parser removes them silently.
  // oxlint-disable-next-line no-control-regex
  if (/[\s\u0000-\u0020\u007f]/.test(given)) return 'has blanks or line breaks in it: remove them';
  const host = /^https?:\/\/([^/\\?#]+)/i.exec(given)?.[1]?.replace(/^.*@/, '');
  if (host === undefined && given.startsWith('/')) return `is a path: write a socket as ${SOCKET_EXAMPLE}`;
  if (host === undefined) return 'must be a URL that starts with http:// or https://';
  if (host.includes(',')) return `is a list in one string: give an array, as [${EXAMPLE}, …]`;
  if (!host.startsWith('[') && host.split(':').length > 2)
    return 'has an IPv6 address without brackets: write it as "https://[::1]:8200"';
  const port = /:([^:\]]*)$/.exec(host)?.[1];
  if (port !== undefined && !(/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535))
    return 'has a port that is not a number from 1 to 65535';
  return url ? undefined : 'has a host that cannot be read';
}
