import { BlockList, isIP } from 'node:net';
import { isLocal } from '../client/clear-text.js';
import type { ResolvedProxy } from '../client/proxy.js';
import { kindOf } from '../errors/kind-of.js';
import { isSecret, Secret } from '../secret/secret.js';

const EXAMPLE = '"http://proxy.internal:3128"';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Checks the `proxy` option, and decides which addresses it is used for: none on this machine.
 *
 * @param env read only for `proxy: 'env'`
 */
export function resolveProxy(
  given: unknown,
  addresses: readonly string[],
  problems: string[],
  env: () => Environment = () => process.env,
): ResolvedProxy | undefined {
  if (given === undefined) return undefined;
  const remote = addresses.filter((address) => !isLocal(address));
  if (given !== 'env') return readProxy(given, '`proxy`', remote, problems);
  const variables = env();
  const scheme = remote[0]?.startsWith('http:') ? 'HTTP' : 'HTTPS';
  // As the Go clients: in upper case first.
  const find = (name: string) => [name, name.toLowerCase()].find((one) => variables[one]);
  const name = find(`${scheme}_PROXY`);
  if (name === undefined) return undefined;
  const value = variables[name] as string;
  const exceptions = variables[find('NO_PROXY') ?? ''] ?? '';
  const proxied = remote.filter((address) => !isExcepted(new URL(address), exceptions));
  return readProxy(value.includes('://') ? value : `http://${value}`, name, proxied, problems);
}

function readProxy(
  given: unknown,
  label: string,
  addresses: readonly string[],
  problems: string[],
): ResolvedProxy | undefined {
  const text = isSecret(given) ? given.reveal() : given;
  const problem = problemOf(text);
  if (problem !== undefined) {
    problems.push(`${label} ${problem}`);
    return undefined;
  }
  const { origin, username, password } = new URL(text as string);
  const credentials = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return Object.freeze({
    url: origin,
    ...(username && {
      authorization: new Secret(`Basic ${Buffer.from(credentials).toString('base64')}`),
    }),
    addresses: Object.freeze([...addresses]),
  });
}

/** The problem of the URL of a proxy. Shows nothing of the value, which may contain a password. */
function problemOf(given: unknown): string | undefined {
  if (typeof given !== 'string' || given === '')
    return `must be "env", or the URL of a proxy, as ${EXAMPLE}: found ${kindOf(given)}`;
  if (/^socks/i.test(given)) return 'names a SOCKS proxy, which is not supported: use one with HTTP';
  if (!/^https?:\/\/[^/]/i.test(given))
    return `must be a URL that starts with http:// or https://, as ${EXAMPLE}`;
  // The URL parser removes blanks and line breaks silently.
  const url = !/\s/.test(given) && URL.canParse(given) ? new URL(given) : undefined;
  if (!url) return 'cannot be read as a URL (special characters of a password are percent-encoded)';
  if (url.pathname !== '/' || url.search || url.hash) return 'must be only scheme, host and port';
  if (!canDecode(url.username + url.password))
    return 'has a "%" in its user name or password that must be "%25"';
  return url.password && !url.username ? 'has a password without a user name' : undefined;
}

function canDecode(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether NO_PROXY excepts a host, by the rules of the Go clients: hosts, domains, IP addresses, networks, ports, `*`. */
function isExcepted({ hostname, port, protocol }: URL, exceptions: string): boolean {
  const host = hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const ownPort = port || (protocol === 'https:' ? '443' : '80');
  return exceptions.split(/[,\s]+/).some((entry) => {
    const [, name = '', only] =
      /^(.*?)(?::(\d+))?$/.exec(isIP(entry) === 6 ? `[${entry}]` : entry.toLowerCase()) ?? [];
    const bare = name.replace(/^\[|\]$/g, '');
    if (bare === '' || (only !== undefined && only !== ownPort)) return false;
    if (bare === '*') return true;
    if (isIP(host)) return isInside(host, bare);
    const domain = bare.replace(/^\*\./, '.');
    return host.endsWith(domain.startsWith('.') ? domain : `.${domain}`) || host === domain;
  });
}

/** @param network a network, or one address in any of its spellings */
function isInside(host: string, network: string): boolean {
  const [address = '', given] = network.split('/');
  const [kind, ofHost] = [isIP(address), isIP(host)];
  const bits = kind === 4 ? 32 : 128;
  const length = given ?? String(bits);
  if (!kind || kind !== ofHost || !/^\d{1,3}$/.test(length) || Number(length) > bits) return false;
  const family = kind === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(address, Number(length), family);
  return list.check(host, family);
}
