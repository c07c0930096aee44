import type { ClientOptions } from '../client/client-options.js';
import { HEADER_VALUE, readHeaders, RESERVED_OF_CONNECTION } from '../client/headers.js';
import { bareNamespace, isNamespace } from '../client/namespace.js';
import { resolveTls } from '../client/tls.js';
import { resolveAddresses } from './addresses.js';
import type { VaultOptions } from './options.js';
import { resolveProxy } from './proxy.js';

/** Limit of a time in milliseconds, as Node's timers have it. */
export const MAX_TIMEOUT = 2 ** 31 - 1;

export const NETWORK_DEFAULTS = { allowHttp: false, timeout: 10_000 } as const;

/** Options of the way to the server. */
export const NETWORK_OPTIONS = [
  'address',
  'namespace',
  'headers',
  'tls',
  'proxy',
  ...Object.keys(NETWORK_DEFAULTS),
];

/** Applies the defaults to the options of the way to the server, and checks them. */
export function resolveNetworkOptions(
  given: Partial<VaultOptions>,
  problems: string[],
): Omit<ClientOptions, 'name'> {
  const timeout = given.timeout ?? NETWORK_DEFAULTS.timeout;
  const allowHttp = given.allowHttp ?? NETWORK_DEFAULTS.allowHttp;
  checkNumber('timeout', timeout, 1, MAX_TIMEOUT, problems);
  if (typeof allowHttp !== 'boolean') problems.push('`allowHttp` must be true or false');
  const addresses = resolveAddresses(given.address, problems);
  const namespace = resolveNamespace(given.namespace, problems);
  const headers = given.headers !== undefined && resolveHeaders(given.headers, problems);
  const tls = resolveTls(given.tls, problems);
  if (given.tls !== undefined && addresses.some((address) => address.startsWith('http:')))
    problems.push('`tls` is given, but an `address` starts with http://');
  else if (
    given.tls !== undefined &&
    addresses.length > 0 &&
    addresses.every((one) => one.startsWith('unix:'))
  )
    problems.push('`tls` is given, but every `address` starts with unix://, which has no TLS');
  const usable = addresses.every((address) => address !== '');
  const proxy = resolveProxy(given.proxy, usable ? addresses : [], problems);
  return {
    addresses,
    ...(namespace && { namespace }),
    ...(headers && { headers }),
    ...(tls && { tls }),
    ...(proxy && { proxy }),
    allowHttp,
    timeout,
  };
}

export function checkNumber(
  label: string,
  value: unknown,
  min: number,
  max: number,
  problems: string[],
): void {
  if (typeof value !== 'number' || !(value >= min && value <= max))
    problems.push(`\`${label}\` must be a number from ${min} to ${max}`);
}

function resolveNamespace(namespace: unknown, problems: string[]): string | undefined {
  if (namespace === undefined || namespace === '') return undefined;
  if (typeof namespace !== 'string') {
    problems.push('`namespace` must be a string');
    return undefined;
  }
  const trimmed = bareNamespace(namespace);
  if (!/^[\x21-\x7e]+$/.test(trimmed) || !isNamespace(trimmed)) {
    problems.push('`namespace` must be names separated by "/", without spaces, ".." or control characters');
  }
  return trimmed;
}

/** Checks `headers`, whose values may be secret, as the key of a gateway. */
function resolveHeaders(headers: unknown, problems: string[]): Readonly<Record<string, string>> {
  const read = readHeaders(headers, RESERVED_OF_CONNECTION, (problem, hint) =>
    problems.push(`\`headers\`: ${problem}. ${hint}`.replace(/\.$/, '')),
  );
  for (const [name, value] of Object.entries(read))
    if (!HEADER_VALUE.test(value))
      problems.push(
        `\`headers\`: the value of "${name}" contains characters that cannot be sent in a header`,
      );
  return Object.freeze(read);
}
