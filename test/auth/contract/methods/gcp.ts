import { gcp } from '../../../../lib/index.js';
import { CLOUD_KEY, cloudToken, cloudTrouble } from '../../support/cloud-tokens.js';
import type { MethodUnderTest } from '../method.js';

const ACCOUNT = 'orders@project.iam.gserviceaccount.com';

export const gcpUnderTest: MethodUnderTest = {
  name: 'gcp',
  type: 'gcp',
  servers: ['vault'],
  real: false,
  notApplicable: { locked: 'the server locks no service account out' },
  async prepare({ api, mount, fields, now, simulated }) {
    if (simulated) simulated.cloud.publicKey = CLOUD_KEY;
    const role = `auth/${mount}/role/app`;
    const bound = { type: 'iam', bound_service_accounts: [ACCOUNT] };
    await api('POST', `auth/${mount}/config`, {});
    await api('POST', role, { ...fields, ...bound });
    const token = (claims: object = {}) =>
      cloudToken(now(), {
        iss: 'https://accounts.google.com',
        sub: ACCOUNT,
        aud: 'http://vault/app',
        ...claims,
      });
    const trouble = cloudTrouble('Google', /made at each login/, token, now(), simulated);
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      method: (jwt) => gcp({ role: 'app', jwt, mountPath: mount }),
      input: () => token(),
      bad: {
        ...trouble.bad,
        audience: {
          code: 'VAULT_LOGIN_INPUT_INVALID',
          hint: /must end in vault\/app.*aud http:\/\/vault\/other/,
          input: token({ aud: 'http://vault/other' }),
        },
        role: {
          code: 'VAULT_ROLE_NOT_FOUND',
          hint: /Correct `role`/,
          method: gcp({ role: 'nobody', jwt: token(), mountPath: mount }),
        },
      },
      provider: trouble.provider,
      async refuseRenewals() {
        const policies = [...(fields['token_policies'] as string[]), 'one-more'];
        await api('POST', role, { ...fields, ...bound, token_policies: policies });
      },
    };
  },
};
