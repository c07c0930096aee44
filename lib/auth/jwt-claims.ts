import { isObject } from '../client/answer-members.js';
import { printable } from '../errors/printable.js';
import { VaultError } from '../errors/vault-error.js';
import type { Secret } from '../secret/secret.js';

/** The claims of a JWT, not verified. They are no secret; the JWT is one. */
export type Claims = Readonly<Record<string, unknown>>;

/** Milliseconds after `exp` for which the servers accept a JWT. */
const LEEWAY = 60_000;
/** Characters of one claim in a hint. */
const LONGEST = 200;

/** What a JWT must be before it is sent. */
export interface JwtCheck {
  /** Milliseconds since 1970. */
  readonly now: number;
  /** The audience that it must have. */
  readonly audience?: string | undefined;
  /** How the application gets another one, as a sentence. */
  readonly remedy: string;
}

/**
 * Checks a JWT before it is sent: a server would count a bad one as a failed login.
 *
 * @throws VaultError `VAULT_LOGIN_INPUT_INVALID` with its claims
 */
export function checkJwt(jwt: Secret, { now, audience, remedy }: JwtCheck): Claims {
  const invalid = (message: string, hint: string) =>
    new VaultError({ code: 'VAULT_LOGIN_INPUT_INVALID', message, hint });
  const claims = claimsOf(jwt);
  if (!claims)
    throw invalid('The `jwt` of the login is not a JWT: it has no three parts with claims.', remedy);
  const { exp } = claims;
  if (typeof exp === 'number' && exp * 1_000 + LEEWAY <= now)
    throw invalid(
      `The JWT of the login expired at ${time(exp)}; it was not sent.`,
      `${remedy} By the clock of this machine it is ${time(now / 1_000)}: if that is wrong, correct the clock.` +
        describeClaims(claims),
    );
  if (audience !== undefined && !audiencesOf(claims).includes(audience))
    throw invalid(
      `The JWT of the login is not for the audience "${audience}"; it was not sent.`,
      `${remedy}${describeClaims(claims)}`,
    );
  return claims;
}

/** Reads the claims of a JWT; undefined if it is none. */
export function claimsOf(jwt: Secret): Claims | undefined {
  const [, claims, ...rest] = jwt.reveal().split('.');
  if (claims === undefined || rest.length !== 1) return undefined;
  try {
    const parsed: unknown = JSON.parse(Buffer.from(claims, 'base64url').toString());
    return isObject(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

/** A sentence for a hint with the claims on which a login depends. */
export function describeClaims(claims: Claims): string {
  const { iss, sub, exp, nbf, iat } = claims;
  const account = serviceAccountOf(claims);
  const shown = [
    ['iss', iss],
    ['sub', sub],
    ['aud', audiencesOf(claims).join(', ') || undefined],
    ['exp', time(exp)],
    ['nbf', time(nbf)],
    ['iat', time(iat)],
    ['namespace', account.namespace],
    ['service account', account.name],
  ] as const;
  const texts = shown.flatMap(([name, value]) =>
    value === undefined
      ? []
      : [`${name} ${printable(typeof value === 'string' ? value : typeof value, LONGEST)}`],
  );
  return ` Its claims are: ${texts.join('; ') || 'none of the usual ones'}.`;
}

function audiencesOf({ aud }: Claims): readonly string[] {
  return (Array.isArray(aud) ? aud : [aud]).filter((one) => typeof one === 'string');
}

/** The service account of a token of Kubernetes. */
function serviceAccountOf(claims: Claims): { namespace?: unknown; name?: unknown } {
  const own = claims['kubernetes.io'];
  if (!isObject(own)) return {};
  const account = own['serviceaccount'];
  return { namespace: own['namespace'], name: isObject(account) ? account['name'] : undefined };
}

/** A time of a JWT, in seconds since 1970. */
function time(seconds: unknown): string | undefined {
  if (seconds === undefined) return undefined;
  const date = new Date(typeof seconds === 'number' ? seconds * 1_000 : NaN);
  return Number.isNaN(date.getTime()) ? 'no time' : date.toISOString();
}
