import { tlsCertificate } from '../../../../lib/index.js';
import { Authority, type Certificate } from '../../../support/certificates.js';
import type { MethodUnderTest } from '../method.js';

const OWN_TEST = 'its input is the certificate of the connection: see tls-certificate.spec.ts';

let made: { ca: string; client: Certificate } | undefined;

/** One authority and one client certificate for all tests. */
function certificates() {
  if (made) return made;
  const authority = new Authority();
  made = { ca: authority.cert, client: authority.issue('client', 'DNS:client') };
  authority.remove();
  return made;
}

/** On a real server it has tests of its own, as the proxy of these tests would end its TLS. */
export const tlsCertificateUnderTest: MethodUnderTest = {
  name: 'tlsCertificate',
  type: 'cert',
  servers: ['openbao', 'vault'],
  real: false,
  today: true,
  notApplicable: {
    read: OWN_TEST,
    input: OWN_TEST,
    mended: OWN_TEST,
    expired: OWN_TEST,
    audience: 'a certificate has no audience',
    missing: OWN_TEST,
    empty: OWN_TEST,
    slow: 'no source is read',
    locked: 'the server does not lock out users of this method',
    down: 'the server asks no other system',
  },
  async prepare({ api, mount, fields }) {
    const { ca, client } = certificates();
    const role = `auth/${mount}/certs/app`;
    await api('POST', role, { ...fields, certificate: ca });
    const method = (name = 'app') => tlsCertificate({ name, mountPath: mount });
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      options: { address: 'https://vault.test', tls: { cert: client.cert, key: client.key } },
      method: () => method(),
      input: () => client.key,
      bad: {
        role: {
          method: method('nobody'),
          code: 'VAULT_LOGIN_INPUT_INVALID',
          hint: /Compare `name` with the names of the roles/,
        },
      },
      async refuseRenewals() {
        const policies = fields['token_policies'] as string[];
        await api('POST', role, { token_policies: [...policies, 'another-policy'] });
      },
    };
  },
};
