import { kubernetes, type SecretSource } from '../../../../lib/index.js';
import { AUDIENCE, clusterOf } from '../../support/cluster.js';
import { SPACED_OUT, type MethodUnderTest } from '../method.js';

export const kubernetesUnderTest: MethodUnderTest = {
  name: 'kubernetes',
  type: 'kubernetes',
  servers: ['openbao', 'vault'],
  notApplicable: {
    locked: 'the method locks no user out',
    refusal: { vault: 'a renewal asks no other system, and a role that is gone refuses logins, too' },
  },
  async prepare(operator) {
    const { api, mount, fields } = operator;
    const cluster = await clusterOf(operator);
    const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'default' };
    await api('POST', `auth/${mount}/role/app`, { ...bound, audience: AUDIENCE, ...fields });
    const method = (jwt: SecretSource, role = 'app') =>
      kubernetes({ role, jwt, audience: AUDIENCE, mountPath: mount });
    const claims = 'sub system:serviceaccount:default:app; aud .*namespace default; service account app';
    // One answer for a token that the cluster rejects, and for a cluster that is down: so it is sent again.
    const denied = {
      code: 'VAULT_LOGIN_DENIED',
      hint: new RegExp(`TokenReview.*${claims}`),
      logins: SPACED_OUT,
    } as const;
    const token = cluster.token();
    const invalid = { code: 'VAULT_LOGIN_INPUT_INVALID', logins: 0 } as const;
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      method,
      input: () => cluster.token(),
      bad: {
        input: { ...denied, input: cluster.foreign() },
        expired: {
          ...invalid,
          input: cluster.token({ ttl: -3_600 }),
          hint: new RegExp(`fresh token.*clock of this machine.*${claims}`),
        },
        audience: {
          ...invalid,
          input: cluster.token({ audience: 'other' }),
          hint: new RegExp(`\`audience\` is "vault".*${claims}`),
        },
        role: {
          method: method(token, 'nobody'),
          code: 'VAULT_ROLE_NOT_FOUND',
          hint: /Correct `role`/,
        },
        skew: { code: 'VAULT_LOGIN_INPUT_INVALID', hint: /correct the clock/ },
      },
      provider: { ...denied, down: () => cluster.reject(true), up: () => cluster.reject(false) },
      refuseRenewals: cluster.rejectEarlier,
      ...(cluster.stop && { end: cluster.stop }),
    };
  },
};
