import { list, text } from '../server/fields.js';
import { audiencesOf } from '../server/jwt.js';
import { Refusal } from '../server/refusal.js';
import type { CloudKind } from './cloud-auth.js';
import { policiesOf } from './login-tokens.js';

const refuse = (reason: string) => new Refusal(400, reason);
/** Milliseconds for which an expired token is accepted. */
const TOLERANCE = 60_000;

/** Service accounts of Google Cloud. */
export const GCP: CloudKind = {
  type: 'gcp',
  unknownRole: (name) => refuse(`role "${name}" not found`),
  notAJwt: () =>
    refuse('unable to parse signed JWT: go-jose/go-jose: compact JWS format must have three parts'),
  down: ({ sub }) =>
    refuse(
      `unable to get public key for signed JWT: unable to get public key "" for JWT subject "${text(sub)}": ` +
        `Get "https://www.googleapis.com/service_accounts/v1/metadata/x509/${text(sub)}?alt=json": dial tcp: ` +
        'lookup www.googleapis.com: no such host',
    ),
  wrongSignature: () => refuse('go-jose/go-jose: error in cryptographic primitive'),
  check({ name, role, claims, now }) {
    const { exp, sub } = claims;
    if (typeof exp !== 'number' || exp * 1_000 + TOLERANCE < now)
      throw refuse("JWT is expired or does not have proper 'exp' claim");
    const suffix = `vault/${name}`;
    if (!audiencesOf(claims).every((one) => one.endsWith(suffix)))
      throw refuse(`at least one of the JWT claim 'aud' must end in "${suffix}"`);
    const accounts = list(role['bound_service_accounts']);
    const email = text(claims['email']) || text(sub);
    if (!accounts.includes('*') && !accounts.includes(email) && !accounts.includes(text(sub)))
      throw refuse(`service account ${email} (id: ${text(sub)}) is not authorized for role`);
  },
  identify({ name, claims }) {
    const email = text(claims['email']) || text(claims['sub']);
    return {
      displayName: `gcp-${email}`,
      meta: { role: name, service_account_email: email, service_account_id: text(claims['sub']) },
    };
  },
  checkRenewal(name, role, present) {
    if (!present) throw refuse(`role "${name}" no longer exists`);
    if (policiesOf(present).join() !== policiesOf(role).join())
      throw refuse(`policies on role "${name}" have changed, cannot renew`);
  },
};
