import { RedirectRefused } from './transport-errors.js';

/** Where answers say that the request belongs elsewhere. */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** These alone keep method and body; after the others a request with a body must not be repeated. */
const KEEPS_METHOD = new Set([307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/**
 * Where a request is to be sent again. A standby names its leader, which is believed only where that is one of the
 * `origins`.
 *
 * @throws RedirectRefused for anything else
 */
export function redirectTarget(
  answer: { status: number; location: unknown; from: string },
  method: string,
  origins: readonly string[],
): URL {
  const { status, location, from } = answer;
  // An empty one would mean the same address again.
  if (typeof location !== 'string' || location === '' || !URL.canParse(location, from))
    throw new RedirectRefused('an address that is missing or cannot be read');
  const target = new URL(location, from);
  const downgrade = from.startsWith('https:') && target.protocol === 'http:';
  if (!origins.includes(target.origin) || downgrade) throw new RedirectRefused(target.origin);
  if (method !== 'GET' && !KEEPS_METHOD.has(status))
    throw new RedirectRefused(
      target.origin,
      `with status ${status}, after which a ${method} is not repeated`,
    );
  return target;
}
