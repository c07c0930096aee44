import type { ServerAddress } from './server-address.js';
import { RedirectRefused } from './transport-errors.js';

/** Statuses of redirects. */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Redirects that keep method and body; after others a request with a body must not be repeated. */
const KEEPS_METHOD = new Set([307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/**
 * The target of a redirected request. A standby names its leader, which is accepted only if it is one of the `addresses`.
 *
 * @param answer the answer, `from` one of the addresses
 * @throws RedirectRefused for anything else
 */
export function redirectTarget(
  answer: { status: number; location: unknown; from: ServerAddress },
  method: string,
  addresses: readonly ServerAddress[],
): { index: number; path: string } {
  const { status, location, from } = answer;
  // An empty location would mean the same address again.
  if (typeof location !== 'string' || location === '' || !URL.canParse(location, from.origin))
    throw new RedirectRefused('an address that is missing or invalid');
  const { origin, protocol, pathname, search } = new URL(location, from.origin);
  if (!/^https?:$/.test(protocol)) throw new RedirectRefused(`an address with ${protocol}`);
  const index = addresses.findIndex((address) => address.origin === origin);
  const name = addresses[index]?.name ?? origin;
  const downgrade = from.origin.startsWith('https:') && protocol === 'http:';
  if (index === -1 || downgrade) throw new RedirectRefused(name);
  if (method !== 'GET' && !KEEPS_METHOD.has(status))
    throw new RedirectRefused(name, `with status ${status}, after which a ${method} is not repeated`);
  return { index, path: pathname + search };
}
