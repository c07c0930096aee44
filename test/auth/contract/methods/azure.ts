import { azure } from '../../../../lib/index.js';
import { CLOUD_KEY, cloudToken, cloudTrouble } from '../../support/cloud-tokens.js';
import type { MethodUnderTest } from '../method.js';

const RESOURCE = 'https://management.azure.com/';
const IDENTITY = '1c2f5b6e-7d0a-4a55-9a3c-000000000001';
const PLACE = {
  subscriptionId: 'subscription',
  resourceGroupName: 'group',
  resourceId: '/subscriptions/subscription/orders',
};

export const azureUnderTest: MethodUnderTest = {
  name: 'azure',
  type: 'azure',
  servers: ['vault'],
  real: false,
  notApplicable: {
    locked: 'the server locks no identity out',
    refusal: 'the server refuses a renewal only after the role was deleted, and then a login, too',
  },
  async prepare({ api, mount, fields, now, simulated }) {
    if (simulated) simulated.cloud.publicKey = CLOUD_KEY;
    await api('POST', `auth/${mount}/config`, { tenant_id: 'tenant', resource: RESOURCE });
    await api('POST', `auth/${mount}/role/app`, {
      ...fields,
      bound_subscription_ids: ['subscription'],
      bound_resource_groups: ['group'],
      bound_service_principal_ids: [IDENTITY],
    });
    const token = (claims: object = {}) =>
      cloudToken(now(), { oid: IDENTITY, sub: IDENTITY, aud: RESOURCE, ...claims });
    const trouble = cloudTrouble('Azure', /fetched at each login/, token, now(), simulated);
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      method: (jwt) => azure({ role: 'app', jwt, mountPath: mount, ...PLACE }),
      input: () => token(),
      bad: {
        ...trouble.bad,
        // The server answers with status 500, so the same request is repeated, ever later.
        audience: {
          code: 'VAULT_LOGIN_INPUT_INVALID',
          hint: /`resource` of the configuration.*aud https:\/\/other/,
          input: token({ aud: 'https://other' }),
          logins: 8,
        },
        role: {
          code: 'VAULT_ROLE_NOT_FOUND',
          hint: /Correct `role`/,
          method: azure({ role: 'nobody', jwt: token(), mountPath: mount }),
        },
      },
      provider: trouble.provider,
    };
  },
};
