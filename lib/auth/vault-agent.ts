import { VaultError } from '../errors/vault-error.js';
import type { AuthMethod, Login, VersionContext } from './auth-method.js';

/**
 * Logs in nowhere: an agent or proxy at the `address` of the connection (Vault Agent, Vault Proxy, OpenBao Agent, OpenBao
 * Proxy) authenticates by itself (`auto_auth`) and attaches its token to each request (`use_auto_auth_token`). Requests
 * carry no token, and `X-Vault-Request: true`, which a listener may require.
 *
 * The token of the agent is looked up at the start and every ten seconds, renewed while possible, and never revoked.
 * When the agent attaches another one, the leases are issued again. A warning says when several agents with tokens of their
 * own answer at the address. At shutdown the leases are ended one by one.
 *
 * At login it throws `VAULT_LOGIN_PROVIDER_UNAVAILABLE` while no token is attached that the server accepts.
 *
 * @example
 * VaultModule.forRoot({ address: 'http://127.0.0.1:8100', auth: vaultAgent() });
 * @publicApi
 */
export function vaultAgent(): AuthMethod {
  // One look-up serves all that one login wants to know.
  const lookUps = new WeakMap<VersionContext, Promise<Login>>();
  const lookUp = (context: VersionContext) => {
    const before = lookUps.get(context);
    const sent = before ?? context.lookUp(undefined).catch(explained);
    lookUps.set(context, sent);
    return sent;
  };
  return {
    name: 'agent',
    login: lookUp,
    version: async (context) => (await lookUp(context)).identity ?? '',
    missing: (context) =>
      lookUp(context).then(
        () => undefined,
        (error: unknown) => {
          // When it is asked once more, it may have logged in.
          lookUps.delete(context);
          throw error;
        },
      ),
  };
}

function explained(error: unknown): never {
  if (!(error instanceof VaultError) || error.code !== 'VAULT_TOKEN_INVALID') throw error;
  const { status, path } = error;
  throw new VaultError({
    code: 'VAULT_LOGIN_PROVIDER_UNAVAILABLE',
    message: 'No agent attached a valid token to a request without one.',
    hint:
      'Check that `address` is the listener of the agent, that its configuration has `auto_auth` and, in `api_proxy`, ' +
      '`use_auto_auth_token = true`, and in its log that it has logged in and its token was not revoked.',
    ...(status !== undefined && { status }),
    ...(path !== undefined && { path }),
  });
}
