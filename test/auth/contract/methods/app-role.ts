import { appRole } from '../../../../lib/index.js';
import type { MethodUnderTest } from '../method.js';

export const appRoleUnderTest: MethodUnderTest = {
  name: 'appRole',
  type: 'approle',
  servers: ['openbao', 'vault'],
  notApplicable: {
    expired: 'an expired secret_id is answered as a wrong one',
    audience: 'a secret_id has no audience',
    down: 'the server asks no other system',
  },
  async prepare({ api, mount, fields }) {
    let role = `auth/${mount}/role/app`;
    await api('POST', role, fields);
    const { data } = await api('GET', `${role}/role-id`);
    const roleId = data.role_id as string;
    const wrong = 'canary-wrong-secret-id';
    const refused = { code: 'VAULT_LOGIN_INPUT_INVALID', hint: /deliver a new secret_id/ } as const;
    const input = async () => (await api('POST', `${role}/secret-id`, {})).data.secret_id as string;
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      method: (secretId) => appRole({ roleId, secretId, mountPath: mount }),
      input,
      bad: {
        input: { ...refused, input: wrong },
        role: { ...refused, method: appRole({ roleId: 'nobody', secretId: wrong, mountPath: mount }) },
      },
      wrongLogin: { path: `auth/${mount}/login`, body: { role_id: roleId, secret_id: wrong } },
      async refuseRenewals() {
        // Under another name the same role_id makes tokens, while those of the deleted role cannot be renewed.
        await api('DELETE', role);
        role += '-again';
        await api('POST', role, { ...fields, role_id: roleId });
      },
    };
  },
};
