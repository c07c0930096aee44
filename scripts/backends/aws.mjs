// As much of AWS as the sample asks for: whose keys a request is signed with. The signature itself is not looked at.
import http from 'node:http';
import { provision } from '../../test/support/servers.mjs';

export const title = 'AWS';
export const variable = 'AWS_REGION';
export const look = 'vault list sys/leases/lookup/aws/sts/reports';
export const available = () => ({ ok: true });

export async function start() {
  /** Those that were issued, and until when they are good. */
  const keys = new Map();
  const server = http.createServer((request, response) => {
    const [, id] = /Credential=(\w+)\//.exec(request.headers.authorization) ?? [];
    const { token, until } = keys.get(id) ?? {};
    const good = token && token === request.headers['x-amz-security-token'] && Date.now() < until;
    response.writeHead(good ? 200 : 403, { 'content-type': 'text/xml' }).end(good ? identityOf(id) : REFUSAL);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    keys,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const identityOf = (id) => `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <GetCallerIdentityResult>
    <Arn>arn:aws:sts::123456789012:assumed-role/reports/${id}</Arn>
  </GetCallerIdentityResult>
</GetCallerIdentityResponse>`;
const REFUSAL = `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code></Error></ErrorResponse>`;

export const onlySimulated = 'OpenBao has no AWS engine of its own, and keys need an AWS.';
export async function simulate() {
  const { startSimulatedServer } = await import('../simulated-server.mjs');
  return startSimulatedServer();
}

export async function setUp(vault, aws, { file, lease, approle }) {
  aws.leases = () => vault.leases();
  const seconds = Number.parseInt(lease.defaultTtl, 10);
  vault.leasedSecret('aws/sts/reports', {
    ttl: seconds,
    // As keys of a role that is assumed.
    renewable: false,
    data() {
      const access_key = `ASIA${String(aws.keys.size + 1).padStart(16, '0')}`;
      const token = `token-of-${access_key}`;
      aws.keys.set(access_key, { token, until: Date.now() + seconds * 1000 });
      return { access_key, secret_key: `secret-of-${access_key}`, security_token: token };
    },
  });
  return provision(vault, undefined, { approleName: 'reports', policy: file('policy.hcl'), approle });
}

export const where = ({ url }) => `${url}, one request of it`;
export const env = ({ url }) => ({ AWS_ENDPOINT_URL: url, AWS_REGION: 'eu-west-1' });
/** Keys of AWS cannot be taken back; their leases can end. */
export const users = async ({ leases }) => leases();
