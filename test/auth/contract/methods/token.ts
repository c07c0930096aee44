import { token } from '../../../../lib/index.js';
import { SPACED_OUT, type MethodUnderTest, type Operator } from '../method.js';

/** Makes tokens for tests whose method makes none. */
export function tokenMaker({ api, fields }: Operator) {
  const service = fields['token_type'] === 'service';
  const body = {
    policies: fields['token_policies'],
    ttl: fields['token_ttl'],
    ...(service && { period: fields['token_period'], explicit_max_ttl: fields['token_max_ttl'] }),
    type: fields['token_type'],
    no_parent: true,
  };
  const accessors: string[] = [];
  return {
    make: async (): Promise<{ client_token: string }> => {
      const { auth } = await api('POST', 'auth/token/create', body);
      if (service) accessors.push(auth.accessor as string);
      return auth;
    },
    revokeAll: async (): Promise<void> => {
      for (const accessor of accessors.splice(0))
        await api('POST', 'auth/token/revoke-accessor', { accessor });
    },
  };
}

/** A token that another process makes; each read of its source yields a new one. */
export const tokenUnderTest: MethodUnderTest = {
  name: 'token',
  type: 'token',
  mounted: false,
  servers: ['openbao', 'vault'],
  notApplicable: {
    expired: 'an expired token is answered as a wrong one',
    audience: 'a token has no audience',
    role: 'a token is of no role',
    locked: 'the server locks no token out',
    down: 'the server asks no other system',
    refusal: 'no method stands behind the token that could refuse its renewal',
    batch: 'no drain time is reserved for a given token: its leases may be issued again just after its end',
    closed: 'a given token is not revoked, see own-method.spec.ts: its maker does that',
  },
  prepare(operator) {
    const { make, revokeAll } = tokenMaker(operator);
    return {
      login: /^auth\/token\/lookup-self$/,
      looksUp: true,
      method: (source) => token(source),
      input: async () => (await make()).client_token,
      bad: {
        input: {
          code: 'VAULT_TOKEN_INVALID',
          hint: /./,
          input: 's.canaryOfAWrongToken000',
          logins: SPACED_OUT,
        },
      },
      revokeTokens: revokeAll,
    };
  },
};
