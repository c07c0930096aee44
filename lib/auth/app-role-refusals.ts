import type { Explain } from '../client/failed-response.js';
import { nameOf } from '../client/namespace.js';

const BEHIND_NAT = ' (behind a proxy or NAT, the address of that)';

/** The reason of a refused login, by the words of OpenBao and HashiCorp Vault. */
export const explainRefusal: Explain = ({ path, namespace, said }) => {
  if (said(/missing secret_id/i)) {
    return {
      code: 'VAULT_LOGIN_INPUT_INVALID',
      message: 'The role requires a secret_id, and the login has none.',
      hint: 'Give `secretId` to appRole. Only a role with bind_secret_id=false logs in without one.',
    };
  }
  if (said(/invalid role(?: or secret)? ID|failed to validate SecretID|invalid secret[ _]id/i)) {
    const role = path.replace(/\/login$/, '/role/<role>');
    return {
      code: 'VAULT_LOGIN_INPUT_INVALID',
      message: 'The server refuses this pair of role_id and secret_id.',
      hint:
        'The secret_id has expired, has no uses left, was destroyed, or one of the two is wrong: deliver a new ' +
        `secret_id (vault write -f ${role}/secret-id) and compare the role_id. ` +
        `The server looks them up in ${nameOf(namespace)}: if the role is in another one, correct \`namespace\`.`,
    };
  }
  if (said(/unauthorized (?:by|through) CIDR restrictions on the secret ID/i)) {
    return {
      code: 'VAULT_LOGIN_DENIED',
      message: 'The secret_id may not be used from this network address.',
      hint: `It was made with a cidr_list. Create one for the network in which the server sees this machine${BEHIND_NAT}.`,
    };
  }
  if (said(/unauthorized (?:by|through) CIDR/i)) {
    return {
      code: 'VAULT_LOGIN_DENIED',
      message: 'The role may not be used from this network address.',
      hint:
        'Add to secret_id_bound_cidrs of the role the network in which the server sees this machine' +
        `${BEHIND_NAT}, or log in from an allowed address.`,
    };
  }
  if (said(/subset relationship between CIDR blocks/i)) {
    return {
      code: 'VAULT_LOGIN_DENIED',
      message: 'The cidr_list of the secret_id is not within secret_id_bound_cidrs of its role.',
      hint: 'The role was changed after the secret_id was made: create a new one, or widen the CIDRs of the role.',
    };
  }
  return undefined;
};
