import { explainRenewal } from '../auth/renewal-refusals.js';
import { LOOK_UP_SELF, readLookUp } from '../auth/token-look-up.js';
import type { ApiRequest, ApiResponse } from '../client/api.types.js';
import { malformed } from '../errors/common-errors.js';
import { VaultError } from '../errors/vault-error.js';
import type { VaultToken } from './vault-token.js';
import { incrementForDrain } from '../lifetime/drain-policy.js';
import type { GrantUpdate } from '../lifetime/grant.js';
import { SUFFICIENT_SHARE, renewPastCaches } from '../lifetime/renew-past-caches.js';
import type { SessionContext } from './session-context.js';

/** Milliseconds. */
const MIN_TIMEOUT = 500;
/** Share of the time left: a hanging renewal leaves time for another one, before a login replaces all leases. */
const TIMEOUT_SHARE = 0.25;

/** Sends one renewal. Throws transient failures, and refusals that may mean that the token has ended. */
export async function renewToken(
  token: VaultToken,
  { auth, clock, options }: Pick<SessionContext, 'auth' | 'clock' | 'options'>,
  session: { send(token: VaultToken, request: ApiRequest): Promise<ApiResponse> },
): Promise<GrantUpdate> {
  const path = 'auth/token/renew-self';
  const timeout = Math.max(token.left(clock) * TIMEOUT_SHARE, MIN_TIMEOUT);
  const asked = incrementForDrain(token.view(clock), options.renewal);
  try {
    const body = { ...(asked !== undefined && { increment: asked }) };
    const about = {
      ...token.namespaceOverride,
      timeout,
      limit: auth.current.timeout,
      lane: 'vital',
    } as const;
    const answer = await renewPastCaches({
      path,
      async renew(uncached) {
        const request = { ...about, method: 'POST', path, body, uncached, explain: explainRenewal } as const;
        const response = await session.send(token, request);
        if (response.status === 204) throw extendsNothing(path);
        if (!isOf(token, response)) throw malformed(path);
        return response;
      },
      read: ({ auth, ...response }) => ({
        seconds: auth?.lease_duration ?? 0,
        renewable: auth?.renewable === true,
        sentAt: response.sentAt,
        warnings: response.warnings,
      }),
      async lookUp() {
        const known = readLookUp(await session.send(token, { ...about, ...LOOK_UP_SELF }));
        return { ...known, seconds: known.ttl, warnings: [] };
      },
      sufficientTime: asked === undefined ? token.firstTtl * SUFFICIENT_SHARE : Infinity,
    });
    // Less than a second is left until the max TTL. The server rounded it to 0 and ended the token.
    if (answer.seconds <= 0) return { kind: 'ended' };
    const periodic = asked !== undefined && answer.seconds * 1_000 === token.firstTtl;
    return { kind: 'renewed', answer, asked, periodic };
  } catch (error) {
    const { code } = error as VaultError;
    if (code === 'VAULT_LEASE_AT_MAX_TTL') return { kind: 'at-max-ttl' };
    if (code === 'VAULT_LEASE_NOT_RENEWABLE' || code === 'VAULT_PERMISSION_DENIED')
      return { kind: 'not-renewable' };
    throw error;
  }
}

/** The user or role of the login was deleted: the server accepts the renewal, and extends nothing. */
function extendsNothing(path: string): VaultError {
  return new VaultError({
    code: 'VAULT_LEASE_NOT_RENEWABLE',
    message: 'The server renews the token no longer: the user or role of its login is gone.',
    hint: 'A login follows by itself; it shows the reason.',
    status: 204,
    path,
  });
}

/** Agents leave token and accessor empty if the token is their own. */
function isOf({ accessor }: VaultToken, { auth, wellFormed }: ApiResponse): boolean {
  return wellFormed && auth !== null && (!accessor || !auth.accessor || auth.accessor === accessor);
}
