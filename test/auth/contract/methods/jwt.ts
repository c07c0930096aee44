import { jwt, type SecretSource } from '../../../../lib/index.js';
import { anyIssuer, newIssuer } from '../../../support/jwts.js';
import type { MethodUnderTest } from '../method.js';

export const jwtUnderTest: MethodUnderTest = {
  name: 'jwt',
  type: 'jwt',
  servers: ['openbao', 'vault'],
  notApplicable: {
    locked: 'the method locks no user out',
    down: {
      vault:
        'the server keeps the keys that it has fetched, and refuses the address of a service that is down',
    },
    refusal: 'a renewal asks no other system, and a role that is gone refuses logins, too',
  },
  async prepare({ api, mount, fields, now }) {
    const issuer = anyIssuer();
    const configure = () => api('POST', `auth/${mount}/config`, { jwt_validation_pubkeys: [issuer.pem] });
    await configure();
    const bound = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['vault'] };
    await api('POST', `auth/${mount}/role/app`, { ...bound, ...fields });
    let count = 0;
    const claims = (ttl = 3_600) => {
      const iat = Math.floor(now() / 1_000) + Math.min(ttl, 0);
      return { sub: 'job-7', aud: 'vault', iat, nbf: iat, exp: iat + Math.abs(ttl), jti: `jwt-${++count}` };
    };
    const input = () => issuer.sign(claims());
    const method = (source: SecretSource, role = 'app') => jwt({ role, jwt: source, mountPath: mount });
    const invalid = { code: 'VAULT_LOGIN_INPUT_INVALID' } as const;
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      method,
      input,
      bad: {
        input: {
          ...invalid,
          input: newIssuer().sign(claims()),
          hint: /bound_issuer and the keys.*sub job-7; aud vault/,
        },
        expired: {
          ...invalid,
          input: issuer.sign({ ...claims(), exp: now() / 1_000 - 3_600 }),
          hint: /valid then.*clock of this machine.*sub job-7; aud vault/,
          logins: 0,
        },
        audience: {
          ...invalid,
          input: issuer.sign({ ...claims(), aud: 'other' }),
          hint: /bound_audiences of the role.*sub job-7; aud other/,
        },
        role: { method: method(input(), 'nobody'), code: 'VAULT_ROLE_NOT_FOUND', hint: /Correct `role`/ },
        skew: { ...invalid, hint: /correct the clock/ },
      },
      provider: {
        async down() {
          const dead = { jwks_url: 'http://127.0.0.1:1/keys', skip_jwks_validation: true };
          await api('POST', `auth/${mount}/config`, dead);
        },
        up: configure,
        code: 'VAULT_BACKEND_FAILED',
        hint: /check jwks_url/,
      },
    };
  },
};
