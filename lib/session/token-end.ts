import type { ApiRequest } from '../client/api.types.js';
import type { VaultToken } from './vault-token.js';

/**
 * How an unused token ends. `revoke`: by a request, and all its leases with it. `given`: by its TTL, because it was
 * given or `shutdown.revoke` is off. `batch`: by its TTL, because it cannot be revoked. `expired`: it has ended.
 *
 * @param revoke the option `shutdown.revoke`
 */
export function howToEnd(
  { own, revocable, grant }: VaultToken,
  revoke: boolean,
): 'revoke' | 'given' | 'batch' | 'expired' {
  if (!own || !revoke) return 'given';
  if (!revocable) return 'batch';
  // A token that looks expired or was refused may still be valid on the server, so it is revoked anyway.
  return grant.state === 'ended' ? 'expired' : 'revoke';
}

/** The request that revokes a token. It is sent with the token itself. */
export function revocation({ namespaceOverride }: VaultToken): ApiRequest {
  return { ...namespaceOverride, method: 'POST', path: 'auth/token/revoke-self', body: {}, lane: 'vital' };
}
