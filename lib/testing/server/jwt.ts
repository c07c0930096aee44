import { createPublicKey, sign, verify, type KeyObject } from 'node:crypto';

/** Claims of a JWT. */
export type JwtClaims = Readonly<Record<string, unknown>>;

/** A JWT whose form is right; nothing is verified. */
export interface ParsedJwt {
  readonly header: JwtClaims;
  readonly claims: JwtClaims;
  readonly signed: string;
  readonly signature: Buffer;
}

/** Parses a JWT; undefined if it is none. */
export function parseJwt(jwt: string): ParsedJwt | undefined {
  const [header = '', claims = '', signature, ...rest] = jwt.trim().split('.');
  if (signature === undefined || rest.length > 0) return undefined;
  try {
    return {
      header: decode(header),
      claims: decode(claims),
      signed: `${header}.${claims}`,
      signature: Buffer.from(signature, 'base64url'),
    };
  } catch {
    return undefined;
  }
}

function decode(part: string): JwtClaims {
  const parsed: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
  if (typeof parsed !== 'object' || parsed === null) throw new SyntaxError('It is no object.');
  return parsed as JwtClaims;
}
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

const HASHES: Readonly<Record<string, string>> = { RS256: 'sha256', ES256: 'sha256' };
const DSA = 'ieee-p1363';

/** Whether a PEM public key verifies the signature, by RS256 or ES256. */
export function verifiedBy({ header, signed, signature }: ParsedJwt, pem: string): boolean {
  const hash = HASHES[String(header['alg'])];
  if (hash === undefined) return false;
  try {
    const key = createPublicKey(pem);
    const wanted = key.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256';
    return (
      header['alg'] === wanted && verify(hash, Buffer.from(signed), { key, dsaEncoding: DSA }, signature)
    );
  } catch {
    return false;
  }
}

/** Signs claims with a private key: RS256 with one of RSA, ES256 with one of the curve P-256. */
export function signJwt(claims: JwtClaims, key: KeyObject): string {
  const alg = key.asymmetricKeyType === 'rsa' ? 'RS256' : 'ES256';
  const signed = `${encode({ alg, typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${sign('sha256', Buffer.from(signed), { key, dsaEncoding: DSA }).toString('base64url')}`;
}

/** Seconds for which the servers accept a JWT before `nbf` and after `exp`. */
const LEEWAY = 60;

/** The fault of the times of a JWT at a time in milliseconds, in the words of the server; undefined if there is none. */
export function faultOfTimes({ exp, nbf, iat }: JwtClaims, now: number): string | undefined {
  const seconds = now / 1_000;
  const isAhead = (time: unknown) => typeof time === 'number' && time - LEEWAY > seconds;
  if (typeof exp === 'number' && exp + LEEWAY < seconds)
    return 'invalid expiration time (exp) claim: token is expired';
  if (isAhead(nbf)) return 'invalid not before (nbf) claim: token not yet valid';
  return isAhead(iat) ? 'invalid issued at (iat) claim: token issued in the future' : undefined;
}

/** The audiences of a JWT. */
export function audiencesOf({ aud }: JwtClaims): string[] {
  return (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string');
}

export const WRONG_AUDIENCE =
  'invalid audience (aud) claim: audience claim does not match any expected audience';
