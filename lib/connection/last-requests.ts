import type { ApiRequest } from '../client/api.types.js';
import type { Clock } from '../clock/clock.js';
import type { Lease } from '../leases/lease.js';
import { isWorthRetiring, retirement } from '../leases/retirement.js';
import type { VaultToken } from '../session/vault-token.js';
import { howToEnd, revocation } from '../session/token-end.js';

/** A request with its token. `revokes`: the request revokes that token. */
export interface LastRequest {
  request: ApiRequest;
  token: VaultToken;
  revokes: boolean;
}

/**
 * The requests to send if the process ends now, the same as at shutdown: revoke each token that may be revoked, and
 * retire the leases of the other tokens.
 */
export function lastRequests(
  tokens: Iterable<VaultToken>,
  leases: Iterable<Lease<unknown>>,
  revoke: boolean,
  clock: Clock,
): LastRequest[] {
  const revoked = new Set([...tokens].filter((one) => howToEnd(one, revoke) === 'revoke'));
  const retired = [...leases].filter(
    (lease) => !revoked.has(lease.token) && lease.grant.state !== 'retired' && isWorthRetiring(lease, clock),
  );
  return [
    ...[...revoked].map((token) => ({ request: revocation(token), token, revokes: true })),
    ...retired.map((lease) => ({ request: retirement(lease), token: lease.token, revokes: false })),
  ];
}
