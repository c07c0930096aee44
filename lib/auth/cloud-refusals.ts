import type { Explain } from '../client/failed-response.js';
import { UNREACHABLE } from './system-failed.js';
import { describeClaims, type Claims } from './jwt-claims.js';

/** The reason of a refused login with a token of Google, by the words of HashiCorp Vault. */
export function explainGcpRefusal(role: string, claims: Claims): Explain {
  return explainCloudRefusal(claims, {
    provider: 'Google',
    unknownRole: /role ".*" not found/i,
    unreachable: /unable to get public key/i,
    audience: `The audience of the token must end in vault/${role}.`,
    bounds: 'bound_service_accounts, bound_projects, bound_zones and the other bounds of the role',
  });
}

/** The reason of a refused login with a token of Azure, by the words of HashiCorp Vault. */
export function explainAzureRefusal(claims: Claims): Explain {
  return explainCloudRefusal(claims, {
    provider: 'Azure',
    unknownRole: /invalid role name/i,
    unreachable: /login\.microsoftonline|openid-configuration/i,
    audience: '`resource` of azure must be the `resource` of the configuration of the method.',
    bounds:
      'bound_subscription_ids, bound_resource_groups, bound_service_principal_ids and the other bounds of the role',
  });
}

interface Cloud {
  readonly provider: string;
  readonly unknownRole: RegExp;
  readonly unreachable: RegExp;
  readonly audience: string;
  readonly bounds: string;
}

/** The words of the libraries of both clouds for an API that has too many requests or fails. */
const BUSY = /(?:StatusCode=|RESPONSE |googleapi: Error )(?:429|5\d\d)\b/;

function explainCloudRefusal(claims: Claims, cloud: Cloud): Explain {
  const shown = describeClaims(claims);
  return ({ said }) => {
    if (said(cloud.unknownRole))
      return {
        code: 'VAULT_ROLE_NOT_FOUND',
        message: 'The method has no role of this name.',
        hint: 'Correct `role`. A method that is not configured answers the same.',
      };
    if (said(cloud.unreachable) || said(UNREACHABLE) || said(BUSY))
      return {
        code: 'VAULT_BACKEND_FAILED',
        message: `The server gets no answer from ${cloud.provider}, which it asks to verify the token.`,
        hint: `Check the way of the server to ${cloud.provider} (its proxy and firewall), and the issuer of the token.${shown}`,
      };
    if (
      said(
        /not authorized|not in bound|invalid subscription|does not match expected|(?:_id|_name) (?:is|are) required|does not allow/i,
      )
    )
      return {
        code: 'VAULT_LOGIN_DENIED',
        message: 'The role does not accept this identity.',
        hint: `Compare it with ${cloud.bounds}.${shown}`,
      };
    if (said(/\b(aud|audience|exp|expired|expires?|nbf|iat|signature|cryptographic|JWT)\b/i))
      return {
        code: 'VAULT_LOGIN_INPUT_INVALID',
        message: 'The server does not accept the token: its audience, its times, or its signature.',
        hint: `${cloud.audience} Check the clocks of this machine and of the server.${shown}`,
      };
    return undefined;
  };
}
