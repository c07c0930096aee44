import type { ApiRequest } from './api.types.js';

/** Idempotent writes. */
const SAME_AGAIN = new Set([
  'auth/token/renew-self',
  'auth/token/lookup-self',
  'auth/token/revoke-self',
  'sys/leases/renew',
  'sys/leases/lookup',
  'sys/wrapping/lookup',
]);

/**
 * Whether a request may be sent again if it is unknown whether it was executed (RFC 9110, 9.2.2). Other than in HTTP,
 * some reads of a server create something: a lease, a wrapping token.
 */
export function isRepeatable({ method, path, uncached, headers }: ApiRequest): boolean {
  if (method === 'POST') return SAME_AGAIN.has(path);
  if (method !== 'GET' && method !== 'LIST') return false;
  return !uncached && headers?.['x-vault-wrap-ttl'] === undefined;
}
