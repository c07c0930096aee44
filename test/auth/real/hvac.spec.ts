import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SimulatedVault } from '../../../lib/testing/index.js';
import { Authority, opensslAvailable, type Certificate } from '../../support/certificates.js';
import { realServer } from '../../support/real-servers.js';
import { startOpenBao, type OpenBaoServer } from '../../support/servers.mjs';
import { asker } from '../../unit/testing/support.js';
import { CLOUD_KEY, cloudToken } from '../support/cloud-tokens.js';
import { AUDIENCE, clusterOf } from '../support/cluster.js';
import { python, runHvac } from '../support/hvac.js';
import { Sts } from '../support/sts.js';

type Api = (method: string, path: string, body?: unknown) => Promise<any>;
/** Method and function of hvac, and its arguments. */
type Call = [method: string, name: string, args: Record<string, unknown>];

const FIELDS = { token_policies: ['orders'], token_ttl: '60s', token_max_ttl: '300s' };
const PASSWORD = { username: 'bob', password: 'a-password' };
const SECRET_KEY = 'a-secret-access-key';
const ACCOUNT = 'orders@project.iam.gserviceaccount.com';

/** A server that hvac logs in at. */
interface Place {
  readonly url: string;
  readonly api: Api;
  /** Only where the server is a simulated one. */
  readonly simulated?: SimulatedVault;
}

/** Sets a method up; returns a login that succeeds, and one that fails. */
type SetUp = (api: Api, place: Place) => Promise<{ good: Call; bad: Call }>;

let authority: Authority;
/** The certificate of all servers: each speaks TLS, for logins with a client certificate. */
let server: Certificate;
let client: Certificate;
let stranger: Certificate;
/** Ends the stubs behind the servers. */
const stops: (() => Promise<void>)[] = [];

const wrong = (call: Call, changes: Record<string, unknown>): { good: Call; bad: Call } => ({
  good: call,
  bad: [call[0], call[1], { ...call[2], ...changes }],
});

/** Methods of both products, with the same results on each server. */
const BOTH: Record<string, SetUp> = {
  async approle(api) {
    await api('POST', 'auth/approle/role/orders', FIELDS);
    const { role_id } = (await api('GET', 'auth/approle/role/orders/role-id')).data;
    const { secret_id } = (await api('POST', 'auth/approle/role/orders/secret-id', {})).data;
    return wrong(['approle', 'login', { role_id, secret_id }], { secret_id: 'wrong' });
  },
  async userpass(api) {
    await api('POST', 'auth/userpass/users/bob', { ...FIELDS, password: PASSWORD.password });
    return wrong(['userpass', 'login', PASSWORD], { password: 'wrong' });
  },
  async jwt(api) {
    await api('POST', 'auth/jwt/config', { jwt_validation_pubkeys: [CLOUD_KEY] });
    const role = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['app'] };
    await api('POST', 'auth/jwt/role/orders', { ...FIELDS, ...role });
    const jwt = (aud: string) => cloudToken(Date.now(), { sub: 'orders', aud });
    const given = { role: 'orders', jwt: jwt('app') };
    return wrong(['jwt', 'jwt_login', given], { jwt: jwt('other') });
  },
  async kubernetes(api, { simulated }) {
    const where = { api, mount: 'kubernetes', now: Date.now };
    const cluster = await clusterOf({ ...where, ...(simulated && { simulated }) });
    if (cluster.stop) stops.push(cluster.stop);
    const bound = { bound_service_account_names: 'app', bound_service_account_namespaces: 'default' };
    await api('POST', 'auth/kubernetes/role/orders', { ...FIELDS, ...bound, audience: AUDIENCE });
    const login: Call = ['kubernetes', 'login', { role: 'orders', jwt: cluster.token() }];
    return wrong(login, { jwt: cluster.foreign() });
  },
  async cert(api) {
    await api('POST', 'auth/cert/certs/orders', { ...FIELDS, certificate: authority.cert });
    const files = ({ certFile, keyFile }: Certificate) => ({ cert_pem: certFile, key_pem: keyFile });
    return wrong(['cert', 'login', { name: 'orders', ...files(client) }], files(stranger));
  },
};

/** Methods of HashiCorp Vault whose providers the simulated server has. */
const VAULT_ONLY: Record<string, SetUp> = {
  async aws(api) {
    await api('POST', 'auth/aws/config/client', {
      sts_endpoint: 'http://sts',
      iam_server_id_header_value: 'v',
    });
    const bound_iam_principal_arn = ['arn:aws:iam::123456789012:role/app'];
    await api('POST', 'auth/aws/role/app', { ...FIELDS, auth_type: 'iam', bound_iam_principal_arn });
    const keys = { access_key: Sts.accessKeyId, secret_key: SECRET_KEY, header_value: 'v', role: 'app' };
    return wrong(['aws', 'iam_login', keys], { secret_key: 'wrong' });
  },
  async gcp(api) {
    await api('POST', 'auth/gcp/role/app', { ...FIELDS, type: 'iam', bound_service_accounts: [ACCOUNT] });
    const jwt = (aud: string) => cloudToken(Date.now(), { sub: ACCOUNT, aud });
    return wrong(['gcp', 'login', { role: 'app', jwt: jwt('vault/app') }], { jwt: jwt('vault/other') });
  },
  async azure(api) {
    await api('POST', 'auth/azure/config', { tenant_id: 't', resource: 'https://vault' });
    await api('POST', 'auth/azure/role/app', { ...FIELDS, bound_subscription_ids: ['s'] });
    const jwt = cloudToken(Date.now(), { oid: 'identity', aud: 'https://vault' });
    const place = { subscription_id: 's', resource_group_name: 'g', vm_name: 'vm' };
    return wrong(['azure', 'login', { role: 'app', jwt, ...place }], { role: 'nobody' });
  },
  async ldap(api) {
    await api('POST', 'auth/ldap/config', { ...FIELDS, url: 'ldap://directory' });
    return wrong(['ldap', 'login', PASSWORD], { password: 'wrong' });
  },
  async radius(api) {
    await api('POST', 'auth/radius/config', { ...FIELDS, host: 'directory', secret: 'shared' });
    await api('POST', 'auth/radius/users/bob', { policies: '' });
    return wrong(['radius', 'login', PASSWORD], { password: 'wrong' });
  },
  async okta(api) {
    await api('POST', 'auth/okta/config', { ...FIELDS, org_name: 'org' });
    return wrong(['okta', 'login', PASSWORD], { password: 'wrong' });
  },
  async github(api) {
    await api('POST', 'auth/github/config', { ...FIELDS, organization: 'org' });
    return wrong(['github', 'login', { token: PASSWORD.password }], { token: 'wrong' });
  },
};

/** The results of hvac at a server, by method: of the good login and the bad one. */
async function results(place: Place, methods: Record<string, SetUp>): Promise<Record<string, any[]>> {
  const { api, url } = place;
  await api('POST', 'sys/policies/acl/orders', { policy: 'path "secret/*" { capabilities = ["read"] }' });
  const logins: Call[] = [];
  for (const [type, setUp] of Object.entries(methods)) {
    await api('POST', `sys/auth/${type}`, { type });
    const { good, bad } = await setUp(api, place);
    logins.push(good, bad);
  }
  const answers = await runHvac<any[]>('hvac_logins.py', { url, logins, ca: authority.certFile });
  return Object.fromEntries(
    Object.keys(methods).map((type, index) => [type, answers.slice(2 * index, 2 * index + 2)]),
  );
}

const simulatedApi = (vault: SimulatedVault): Api => {
  const ask = asker(vault);
  return async (method, path, body) => (await ask(method, path, body)).body;
};

describe.skipIf(python === undefined || !opensslAvailable)('hvac, an independent client', () => {
  let bao: OpenBaoServer;
  const servers: SimulatedVault[] = [];

  beforeAll(async () => {
    authority = new Authority();
    server = authority.issue('server', 'IP:127.0.0.1');
    client = authority.issue('orders', 'DNS:orders');
    stranger = authority.selfSigned('stranger', 'DNS:orders');
    bao = await startOpenBao({ tls: { ...server, caFile: authority.certFile } });
  });
  afterAll(async () => {
    await Promise.all([bao?.stop(), ...servers.map((one) => one.close()), ...stops.map((stop) => stop())]);
    authority?.remove();
  });

  const simulated = async (dialect: 'openbao' | 'vault', methods: Record<string, SetUp>) => {
    const vault = new SimulatedVault({ dialect });
    servers.push(vault);
    const sts = new Sts();
    sts.secrets.add(SECRET_KEY);
    vault.cloud.caller = sts.caller;
    vault.cloud.publicKey = CLOUD_KEY;
    vault.directory.users.set('bob', { password: PASSWORD.password, groups: ['org'] });
    const url = await vault.listen({ tls: server });
    return results({ url, api: simulatedApi(vault), simulated: vault }, methods);
  };

  it(`logs in at a simulated server with the results of ${realServer.name}`, async () => {
    const api: Api = async (...request) => (await bao.api(...request)).body;
    const real = await results({ url: bao.address, api }, BOTH);
    expect(Object.values(real).map(([good]) => good.policies)).toEqual(
      Object.keys(BOTH).map(() => ['default', 'orders']),
    );
    expect(await simulated(realServer.kind, BOTH)).toEqual(real);
  });

  it('logs in at a simulated Vault by every method that both know', async () => {
    const methods = { ...BOTH, ...VAULT_ONLY };
    const answers = await simulated('vault', methods);
    for (const [type, [good, bad]] of Object.entries(answers)) {
      expect(good, type).toMatchObject({
        policies: ['default', 'orders'],
        lease_duration: 60,
        renewable: true,
      });
      expect(bad, type).toHaveProperty('errors');
    }
    expect(Object.keys(answers)).toHaveLength(12);
  });
});
