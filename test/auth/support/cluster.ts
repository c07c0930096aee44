import { rootCertificates } from 'node:tls';
import { serviceAccountToken } from '../../support/jwts.js';
import { TokenReviews } from '../../support/token-review.js';
import type { Operator } from '../contract/method.js';

/** The audience of tokens, and of roles. */
export const AUDIENCE = 'vault';

/** The cluster behind the method. */
export interface Cluster {
  token: (options?: { ttl?: number; audience?: string }) => string;
  /** A token that the cluster rejects. */
  foreign: () => string;
  reject: (rejected: boolean) => void;
  /** Rejects all tokens that it made until now. */
  rejectEarlier: () => void;
  stop?: () => Promise<void>;
}

/** The table of the simulated server, or a stub that the real one asks. */
export async function clusterOf({
  api,
  mount,
  simulated,
  now,
}: Pick<Operator, 'api' | 'mount' | 'simulated' | 'now'>): Promise<Cluster> {
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
