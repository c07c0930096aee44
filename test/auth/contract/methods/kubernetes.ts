import { rootCertificates } from 'node:tls';
import { kubernetes, type SecretSource } from '../../../../lib/index.js';
import { serviceAccountToken } from '../../../support/jwts.js';
import { TokenReviews } from '../../../support/token-review.js';
import { SPACED_OUT, type MethodUnderTest, type Operator } from '../method.js';

const AUDIENCE = 'vault';

/** The cluster behind the method. */
interface Cluster {
  token: (options?: { ttl?: number; audience?: string }) => string;
  /** A token that the cluster rejects. */
  foreign: () => string;
  reject: (rejected: boolean) => void;
  /** Rejects all tokens that it made until now. */
  rejectEarlier: () => void;
  stop?: () => Promise<void>;
}

/** The table of the simulated server, or a stub that the real one asks. */
async function clusterOf({ api, mount, simulated, now }: Operator): Promise<Cluster> {
  if (simulated) {
    const role = simulated.kubernetesRole('cluster', { mount, serviceAccount: 'app', audience: AUDIENCE });
    return {
      token: role.serviceAccountToken,
      foreign: () => serviceAccountToken({ now: now() }),
      reject: role.rejectTokens,
      rejectEarlier: role.recreateServiceAccount,
    };
  }
  const reviews = await TokenReviews.start();
  await api('POST', `auth/${mount}/config`, {
    kubernetes_host: reviews.address,
    kubernetes_ca_cert: rootCertificates[0],
    disable_local_ca_jwt: true,
  });
  return {
    token: (options) => serviceAccountToken({ now: now(), ...options }),
    foreign() {
      const token = serviceAccountToken({ now: now() });
      reviews.reject(token);
      return token;
    },
    reject: (rejected) => (rejected ? reviews.reject() : reviews.accept()),
    rejectEarlier: () => reviews.reviewed.forEach((token) => reviews.reject(token)),
    stop: () => reviews.stop(),
  };
}

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
