import { generateKeyPairSync, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import type { Kubernetes } from './backends/kubernetes.js';
import { seconds } from './server/duration.js';
import { signJwt } from './server/jwt.js';
import type {
  JwtRoleHandle,
  KubernetesRoleHandle,
  SimulatedJwtRole,
  SimulatedKubernetesRole,
} from './simulated-roles.js';

/** A role that is being set up, for its operator. */
export interface LoginRole {
  readonly name: string;
  /** Milliseconds since 1970, by the clock of the server. */
  readonly now: () => number;
  readonly configure: (body: Record<string, unknown>) => void;
  /** Writes the role, from options in camel case. */
  readonly write: (options: object) => void;
  readonly delete: () => void;
}

const CLUSTER = 'https://kubernetes.default.svc';

/** Sets up a role of Kubernetes auth. */
export function kubernetesRole(
  method: Kubernetes,
  role: LoginRole,
  { serviceAccount = role.name, serviceAccountNamespace = 'default', ...rest }: SimulatedKubernetesRole,
): KubernetesRoleHandle {
  const namespace = serviceAccountNamespace;
  const account = method.account(namespace, serviceAccount);
  role.configure({ kubernetes_host: CLUSTER });
  role.write({
    boundServiceAccountNames: [serviceAccount],
    boundServiceAccountNamespaces: [namespace],
    ...rest,
  });
  return {
    serviceAccountToken({ ttl = '1h', audience = rest.audience ?? CLUSTER } = {}) {
      const iat = Math.floor(role.now() / 1_000);
      const claims = {
        iss: CLUSTER,
        aud: [audience],
        exp: iat + seconds(ttl),
        iat,
        nbf: iat,
        sub: `system:serviceaccount:${namespace}:${serviceAccount}`,
        'kubernetes.io': { namespace, serviceaccount: { name: serviceAccount, uid: account.uid } },
      };
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      // The cluster knows its tokens by the uid of the account, so this signature is not verified.
      return `${part({ alg: 'RS256' })}.${part(claims)}.${randomBytes(48).toString('base64url')}`;
    },
    rejectTokens(rejected = true) {
      account.rejected = rejected;
    },
    recreateServiceAccount() {
      account.uid = randomUUID();
    },
    delete: role.delete,
  };
}

let issuer: { privateKey: KeyObject; pem: string } | undefined;

/** The key of the issuer of JWTs; one for the process, as making one takes time. */
function issuerKey(): { privateKey: KeyObject; pem: string } {
  if (!issuer) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    issuer = { privateKey, pem: String(publicKey.export({ type: 'spki', format: 'pem' })) };
  }
  return issuer;
}

/** Sets up a role of JWT auth. */
export function jwtRole(
  role: LoginRole,
  { audience = 'vault', userClaim = 'sub', boundClaims, ...rest }: SimulatedJwtRole,
): JwtRoleHandle {
  const { privateKey, pem } = issuerKey();
  role.configure({ jwt_validation_pubkeys: [pem] });
  role.write({ roleType: 'jwt', userClaim, boundAudiences: [audience], boundClaims, ...rest });
  return {
    jwt(claims = {}) {
      const iat = Math.floor(role.now() / 1_000);
      return signJwt(
        { sub: role.name, aud: audience, iat, nbf: iat, exp: iat + 3_600, ...claims },
        privateKey,
      );
    },
    delete: role.delete,
  };
}
