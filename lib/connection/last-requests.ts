import type { ApiRequest } from '../client/api.types.js';
import type { Clock } from '../clock/clock.js';
import type { Lease } from '../leases/lease.js';
import { isWorthRetiring, retirement } from '../leases/retirement.js';
import type { VaultToken } from '../session/vault-token.js';
import { howToEnd, revocation } from '../session/token-end.js';

/** A request that is sent with a token of its own; `revokes` where it ends that token. */
export interface LastRequest {
  request: ApiRequest;
  token: VaultToken;
  revokes: boolean;
}

/**
 * What has to be asked of the server where the process ends now: each token is revoked that may be; a lease whose token
 * lives on is retired, as at shutdown.
 */
export function lastRequests(
  generations: Iterable<VaultToken>,
  leases: Iterable<Lease<unknown>>,
  revoke: boolean,
  clock: Clock,
): LastRequest[] {
  const revoked = new Set([...generations].filter((one) => howToEnd(one, revoke) === 'revoke'));
  const retired = [...leases].filter(
    (lease) => !revoked.has(lease.token) && !lease.retired && isWorthRetiring(lease, clock),
  );
  return [
    ...[...revoked].map((token) => ({ request: revocation(token), token, revokes: true })),
    ...retired.map((lease) => ({ request: retirement(lease), token: lease.token, revokes: false })),
  ];
}
