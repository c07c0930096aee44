import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { signJwt } from '../../lib/testing/server/jwt.js';

/** An issuer of JWTs with a key of its own. */
export interface Issuer {
  /** The public key. */
  readonly pem: string;
  readonly privateKey: KeyObject;
  readonly sign: (claims: Readonly<Record<string, unknown>>) => string;
}

export function newIssuer(type: 'ec' | 'rsa' = 'ec'): Issuer {
  const { privateKey, publicKey } =
    type === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const pem = String(publicKey.export({ type: 'spki', format: 'pem' }));
  return { pem, privateKey, sign: (claims) => signJwt(claims, privateKey) };
}

let shared: Issuer | undefined;
/** One issuer for all tests that need any. */
export const anyIssuer = (): Issuer => (shared ??= newIssuer());

let count = 0;

/**
 * A token of the service account `default/app`, as a kubelet writes it.
 *
 * @param options.ttl seconds
 * @param options.now milliseconds since 1970
 */
export function serviceAccountToken({
  ttl = 3_600,
  audience = 'vault',
  now = Date.now(),
}: { ttl?: number; audience?: string; now?: number } = {}): string {
  const seconds = Math.floor(now / 1_000);
  return anyIssuer().sign({
    iss: 'https://kubernetes.default.svc',
    aud: [audience],
    exp: seconds + ttl,
    iat: Math.min(seconds, seconds + ttl),
    nbf: Math.min(seconds, seconds + ttl),
    jti: `token-${++count}`,
    sub: 'system:serviceaccount:default:app',
    'kubernetes.io': { namespace: 'default', serviceaccount: { name: 'app', uid: 'uid-of-app' } },
  });
}
