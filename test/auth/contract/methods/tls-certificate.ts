import { tlsCertificate } from '../../../../lib/index.js';
import { Authority } from '../../../support/certificates.js';
import type { MutualTls } from '../../../support/http-proxy.js';
import type { MethodUnderTest } from '../method.js';

const OWN_TEST = 'its input is the certificate of the connection: see tls-certificate.spec.ts';

let made: MutualTls | undefined;

/** One authority, one client and one server for all tests. */
function certificates(): MutualTls {
  if (made) return made;
  const authority = new Authority();
  // The server reads its files.
  process.once('exit', () => authority.remove());
  made = {
    ca: authority.cert,
    caFile: authority.certFile,
    client: authority.issue('client', 'DNS:client'),
    server: authority.issue('server', 'IP:127.0.0.1'),
  };
  return made;
}

/** More tests on a real server, of certificates that are replaced: tls-certificate.spec.ts. */
export const tlsCertificateUnderTest: MethodUnderTest = {
  name: 'tlsCertificate',
  type: 'cert',
  servers: ['openbao', 'vault'],
  tls: certificates,
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
  async prepare({ api, mount, fields, simulated }) {
    const { ca, client } = certificates();
    const role = `auth/${mount}/certs/app`;
    await api('POST', role, { ...fields, certificate: ca });
    const method = (name = 'app') => tlsCertificate({ name, mountPath: mount });
    return {
      login: new RegExp(`^auth/${mount}/login$`),
      options: {
        tls: { cert: client.cert, key: client.key, ...(!simulated && { ca }) },
        ...(simulated && { address: 'https://vault.test' }),
      },
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
