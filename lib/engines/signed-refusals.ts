import type { Explain } from '../client/failed-response.js';
import { refusesRequest } from '../client/response-error.js';

/** Refusals of engines that sign names: PKI and SSH. */
export const explainSigned: Explain = (refusal) =>
  refusal.status === 400 && refusal.said(NAME)
    ? {
        code: 'VAULT_REQUEST_INVALID',
        message: refusesRequest(refusal),
        hint:
          'The role does not allow a name in the parameters: compare them with its allowed_domains, allow_subdomains, ' +
          'allow_bare_domains and allowed_*_sans (SSH: allowed_users).',
      }
    : undefined;

const NAME =
  /not allowed by this role|is not a valid value for valid_principals|Alternative Names? are not allowed/i;
