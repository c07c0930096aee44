import { skewHint } from './clock-skew.js';
import { nameOf } from './namespace-path.js';
import type { FailedResponse, Verdict } from './response-error.js';

const BEHIND_NAT = ' (behind a proxy or NAT, the address of that)';

/** Why AppRole refuses a login, in the words of OpenBao and HashiCorp Vault; nothing where it is another refusal. */
export function refusedLogin(
  failed: FailedResponse,
  said: (pattern: RegExp) => boolean,
): Verdict | undefined {
  const { path, namespace } = failed;
  if (said(/missing secret_id/i)) {
    return [
      'VAULT_SECRET_ID_INVALID',
      'The role wants a secret_id, and the login gives none.',
      'Give `secretId` to appRole. Only a role with bind_secret_id=false logs in without one.',
    ];
  }
  if (said(/invalid role or secret ID|failed to validate SecretID|invalid secret[ _]id/i)) {
    const role = path.replace(/\/login$/, '/role/<role>');
    return [
      'VAULT_SECRET_ID_INVALID',
      'The server refuses this pair of role_id and secret_id.',
      'The secret_id expired, was used up or destroyed, or one of the two is wrong: have the orchestrator deliver ' +
        `a fresh secret_id (vault write -f ${role}/secret-id) and compare the role_id. ` +
        `They are looked up in ${nameOf(namespace ?? '')}: where the role is in another one, correct \`namespace\`.${skewHint(failed)}`,
    ];
  }
  if (said(/unauthorized (?:by|through) CIDR restrictions on the secret ID/i)) {
    return [
      'VAULT_LOGIN_DENIED',
      'The secret_id may not be used from this network address.',
      `It was made with a cidr_list. Have one made for the network that the server sees this machine in${BEHIND_NAT}.`,
    ];
  }
  if (said(/unauthorized (?:by|through) CIDR/i)) {
    return [
      'VAULT_LOGIN_DENIED',
      'The role may not be used from this network address.',
      'Widen secret_id_bound_cidrs of the role by the network that the server sees this machine in' +
        `${BEHIND_NAT}, or log in from an allowed address.`,
    ];
  }
  if (said(/subset relationship between CIDR blocks/i)) {
    return [
      'VAULT_LOGIN_DENIED',
      'The cidr_list of the secret_id is not within secret_id_bound_cidrs of its role.',
      'The role was changed after the secret_id was made: have a new one made, or widen the role.',
    ];
  }
  return undefined;
}
