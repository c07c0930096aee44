import { RedirectRefused } from './transport-errors.js';

/** Statuses of redirects. */
const REDIRECTS = new Set([301, 302, 303, 307, 308]);
/** Redirects that keep method and body; after others a request with a body must not be repeated. */
const KEEPS_METHOD = new Set([307, 308]);

export function isRedirect(status: number): boolean {
  return REDIRECTS.has(status);
}

/**
 * The target of a redirected request. A standby names its leader, which is accepted only if it is one of the `origins`.
 *
 * @throws RedirectRefused for anything else
 */
export function redirectTarget(
  answer: { status: number; location: unknown; from: string },
  method: string,
  origins: readonly string[],
): URL {
  const { status, location, from } = answer;
  // An empty location would mean the same address again.
  if (typeof location !== 'string' || location === '' || !URL.canParse(location, from))
    throw new RedirectRefused('an address that is missing or invalid');
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
