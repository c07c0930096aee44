import { randomUUID } from 'node:crypto';
import { awsIam, type SecretSource } from '../../../../lib/index.js';
import { Sts } from '../../support/sts.js';
import type { MethodUnderTest } from '../method.js';

export const awsIamUnderTest: MethodUnderTest = {
  name: 'awsIam',
  type: 'aws',
  servers: ['vault'],
  notApplicable: {
    expired: 'keys have no end of their own; STS refuses those that have ended as wrong ones',
    locked: 'the server locks no IAM principal out',
  },
  async prepare({ api, mount, fields, simulated }) {
    const sts = new Sts();
    let over = simulated ? undefined : await sts.listen();
    if (simulated) simulated.cloud.caller = sts.caller;
    const serverId = `vault-${mount}`;
    const config = { sts_region: 'us-east-1', iam_server_id_header_value: serverId };
    const configure = (endpoint: string) =>
      api('POST', `auth/${mount}/config/client`, { ...config, sts_endpoint: endpoint });
    await configure(over?.address ?? 'http://sts.simulated');
    const add = (name: string) =>
      api('POST', `auth/${mount}/role/${name}`, {
        ...fields,
        auth_type: 'iam',
        bound_iam_principal_arn: [`arn:aws:iam::123456789012:role/${name}`],
        resolve_aws_unique_ids: false,
      });
    await add('app');
    const method = (secretAccessKey: SecretSource, more: object = {}) =>
      awsIam({
        credentials: { accessKeyId: Sts.accessKeyId, secretAccessKey },
        serverId,
        mountPath: mount,
        ...more,
      });
    const wrong = 'canary-wrong-secret-access-key';
    const input = () => {
      const secret = `${randomUUID()}canary`;
      sts.secrets.add(secret);
      return secret;
    };
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      method,
      input,
      bad: {
        input: {
          code: 'VAULT_LOGIN_INPUT_INVALID',
          hint: /keys are valid.*sts_region.*clock/,
          input: wrong,
          logins: 8,
        },
        audience: {
          code: 'VAULT_LOGIN_INPUT_INVALID',
          hint: /`serverId`/,
          method: method(input, { serverId: 'other' }),
          logins: 8,
        },
        role: {
          code: 'VAULT_ROLE_NOT_FOUND',
          hint: /Correct `role`/,
          method: method(input, { role: 'nobody' }),
          logins: 8,
        },
        skew: { code: 'VAULT_LOGIN_INPUT_INVALID', hint: /clock of this machine/ },
      },
      provider: {
        down: async () => {
          if (simulated) simulated.cloud.down = true;
          else await over?.close();
        },
        up: async () => {
          if (simulated) simulated.cloud.down = false;
          else {
            over = await sts.listen();
            await configure(over.address);
          }
        },
        code: 'VAULT_BACKEND_FAILED',
        hint: /`sts_endpoint`/,
      },
      async refuseRenewals() {
        sts.principal = 'app-again';
        await add('app-again');
        await api('DELETE', `auth/${mount}/role/app`);
      },
      end: () => over?.close(),
    };
  },
};
