import type { Explain } from '../client/failed-response.js';

/** The reason of a refused login, by the words of HashiCorp Vault. STS is asked by the server, four times at most. */
export const explainAwsRefusal: Explain = ({ said }) => {
  if (said(/X-Vault-AWS-IAM-Server-ID/i))
    return {
      code: 'VAULT_LOGIN_INPUT_INVALID',
      message: 'The server requires another X-Vault-AWS-IAM-Server-ID in the signed request.',
      hint: 'Set `serverId` of awsIam to `iam_server_id_header_value` of the configuration of the method.',
    };
  if (said(/received error code (?:429|5\d\d) from STS|Throttl|Rate ?Exceeded/i))
    return {
      code: 'VAULT_BACKEND_FAILED',
      message: 'STS has too many requests or fails, so that the server does not learn who has signed.',
      hint: 'The login is repeated. Spread restarts, and use the STS endpoint of the region (`sts_endpoint`, `sts_region` of the method).',
    };
  if (said(/received error code 4\d\d from STS/i))
    return {
      code: 'VAULT_LOGIN_INPUT_INVALID',
      message: 'STS refuses the signed request: the keys, the region, or the time of the signature.',
      hint:
        'Check that the keys are valid and not expired, that `region` of awsIam is `sts_region` of the method (leave both ' +
        'out for the global endpoint), and that the clock of this machine is right: a signature is valid for 15 minutes.',
    };
  if (said(/error making upstream request/i))
    return {
      code: 'VAULT_BACKEND_FAILED',
      message: 'The server got no answer of STS, which it asks who has signed.',
      hint: 'Check `sts_endpoint` of the method, and the way of the server to it.',
    };
  if (said(/does not belong to the role/i))
    return {
      code: 'VAULT_LOGIN_DENIED',
      message: 'The role does not accept this IAM principal.',
      hint: 'Add its ARN to bound_iam_principal_arn of the role, or give the workload the IAM role that is bound there.',
    };
  if (said(/entry for role .* not found/i))
    return {
      code: 'VAULT_ROLE_NOT_FOUND',
      message: 'The method has no role of this name.',
      hint: 'Correct `role` of awsIam; without it the name of the IAM principal is the role.',
    };
  return undefined;
};
