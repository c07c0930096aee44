// The part of AWS that the sample needs: the identity of the keys of a request. The signature itself is not checked.
import http from 'node:http';
import { provision } from '../../test/support/servers.mjs';

export const title = 'AWS';
export const variable = 'AWS_REGION';
export const look = 'vault list sys/leases/lookup/aws/sts/reports';
export const available = () => ({ ok: true });

export async function start() {
  /** Issued keys, each with its expiry. */
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

export const onlySimulated = 'OpenBao has no AWS engine, and keys need an AWS account.';
export async function simulate() {
  const { startSimulatedServer } = await import('../simulated-server.mjs');
  return startSimulatedServer();
}

export async function setUp(vault, aws, { file, lease, approle }) {
  aws.leases = () => vault.leases();
  const seconds = Number.parseInt(lease.defaultTtl, 10);
  vault.leasedSecret('aws/sts/reports', {
    ttl: seconds,
    // Like the keys of an assumed role.
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

export const where = ({ url }) => `${url}, which answers one kind of request`;
export const env = ({ url }) => ({ AWS_ENDPOINT_URL: url, AWS_REGION: 'eu-west-1' });
/** The live leases: keys of AWS cannot be revoked, only their leases end. */
export const users = async ({ leases }) => leases();
