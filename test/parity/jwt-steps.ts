import { rootCertificates } from 'node:tls';
import type { SimulatedVault } from 'nestjs-vault/testing';
import { anyIssuer, newIssuer, serviceAccountToken } from '../support/jwts.js';
import { TokenReviews } from '../support/token-review.js';
import type { Send } from './send.js';
import type { Known, Step } from './steps.js';

const TTLS = { token_policies: ['app'], token_ttl: '60s', token_max_ttl: '300s' };
const NOBODY = { token: '' };
const HOUR = 3_600;
const issuer = anyIssuer();
const strangers = newIssuer();
const seconds = () => Math.floor(Date.now() / 1_000);

/** One login, with or without a name for its token. */
type Login = [name: string, body: (known: Known) => object, token?: string];

const loginSteps = (mount: string, logins: readonly Login[]): Step[] =>
  logins.map(([name, body, token]) => ({
    name: `${mount} login, ${name}`,
    request: (known) => ['POST', `auth/${mount}/login`, body(known), NOBODY],
    ...(token && {
      keep: (answer, known) => void (known[token] = answer.body.auth.client_token as string),
    }),
  }));
const write = (name: string, path: string, body?: object): Step => ({
  name,
  request: () => [body ? 'POST' : 'DELETE', path, body],
});
const ofToken = (token: string, name: string, method = 'GET', path = 'auth/token/lookup-self'): Step => ({
  name,
  request: (known) => [method, path, method === 'GET' ? undefined : {}, { token: known[token] ?? '' }],
});
const renew = (token: string, name: string) => ofToken(token, name, 'POST', 'auth/token/renew-self');

/** A JWT that the role accepts, but for the changes; an undefined claim is left out. */
const signed = (changes: Record<string, unknown> = {}, by = issuer) => {
  const now = seconds();
  return by.sign({ iss: 'iss', sub: 'svc', aud: 'app', iat: now, nbf: now, exp: now + 300, ...changes });
};
const jwt =
  (changes: (now: number) => Record<string, unknown> = () => ({}), role = 'r') =>
  () => ({ role, jwt: signed(changes(seconds())) });
const none = { iat: undefined, nbf: undefined, exp: undefined };
const KEYS = { jwt_validation_pubkeys: [issuer.pem], bound_issuer: 'iss' };
const ROLE = { role_type: 'jwt', user_claim: 'sub', bound_audiences: ['app', 'app2'], ...TTLS };

const jwtSteps: Step[] = [
  write('jwt enable', 'sys/auth/jwt', { type: 'jwt' }),
  ...loginSteps('jwt', [['before the configuration', jwt()]]),
  write('jwt config', 'auth/jwt/config', KEYS),
  ...loginSteps('jwt', [['no such role', jwt()]]),
  write('jwt role', 'auth/jwt/role/r', ROLE),
  write('jwt role without user_claim', 'auth/jwt/role/bad', { role_type: 'jwt', bound_audiences: ['app'] }),
  write('jwt role without bounds', 'auth/jwt/role/bad', { role_type: 'jwt', user_claim: 'sub' }),
  write('jwt role without an audience', 'auth/jwt/role/noaud', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_subject: 'svc',
  }),
  ...loginSteps('jwt', [
    ['right', jwt(), 'jwt'],
    ['audiences as a list', jwt(() => ({ aud: ['x', 'app2'] }))],
    ['expired', jwt((now) => ({ exp: now - HOUR }))],
    ['not yet valid', jwt((now) => ({ nbf: now + HOUR }))],
    ['nbf in 30 s', jwt((now) => ({ nbf: now + 30 }))],
    ['iat in the future', jwt((now) => ({ iat: now + HOUR }))],
    ['no times', jwt(() => none)],
    ['exp alone', jwt((now) => ({ ...none, exp: now + HOUR }))],
    ['iat alone', jwt((now) => ({ ...none, iat: now }))],
    ['exp as a text', jwt(() => ({ exp: 'soon' }))],
    ['wrong audience', jwt(() => ({ aud: 'other' }))],
    ['no audience', jwt(() => ({ aud: undefined }))],
    ['wrong issuer', jwt(() => ({ iss: 'other' }))],
    ['another key', () => ({ role: 'r', jwt: signed({}, strangers) })],
    ['no user claim', jwt(() => ({ sub: undefined }))],
    ['no JWT at all', () => ({ role: 'r', jwt: 'abc' })],
    ['a line feed at its end', () => ({ role: 'r', jwt: `${signed()}\n` })],
    ['unknown role', jwt(() => ({}), 'ghost')],
    ['without a role', () => ({ jwt: signed() })],
    ['without a JWT', () => ({ role: 'r' })],
    ['an audience, and none bound', jwt(() => ({}), 'noaud')],
    ['no audience, and none bound', jwt(() => ({ aud: undefined }), 'noaud')],
    ['wrong subject', jwt(() => ({ aud: undefined, sub: 'other' }), 'noaud')],
  ]),
  ofToken('jwt', 'jwt token'),
  renew('jwt', 'jwt token, renewed'),
  write('jwt role with other policies', 'auth/jwt/role/r', { ...ROLE, token_policies: ['other'] }),
  renew('jwt', 'jwt token, renewed with other policies'),
  write('jwt default role', 'auth/jwt/config', { ...KEYS, default_role: 'r' }),
  ...loginSteps('jwt', [['by the default role', () => ({ jwt: signed() })]]),
  write('jwt role deleted', 'auth/jwt/role/r'),
  renew('jwt', 'jwt token, its role deleted'),
  ...loginSteps('jwt', [['role deleted', jwt()]]),
];

const accountToken = (options: Parameters<typeof serviceAccountToken>[0]) => () => ({
  role: 'r',
  jwt: serviceAccountToken(options),
});
const ofPod = (role: string) => (known: Known) => ({ role, jwt: known['podToken'] });
const BOUND = {
  bound_service_account_names: ['app'],
  bound_service_account_namespaces: ['default'],
  ...TTLS,
};
const other = (names: object) => ({ ...BOUND, ...names, audience: 'vault' });

const kubernetesSteps: Step[] = [
  write('kubernetes config without a host', 'auth/kubernetes/config', { kubernetes_ca_cert: 'x' }),
  write('kubernetes role', 'auth/kubernetes/role/r', { ...BOUND, audience: 'vault' }),
  write('kubernetes role without an audience', 'auth/kubernetes/role/any', BOUND),
  write('kubernetes role of all', 'auth/kubernetes/role/all', {
    ...other({ bound_service_account_names: ['*'], bound_service_account_namespaces: ['*'] }),
  }),
  write('kubernetes role of another namespace', 'auth/kubernetes/role/ns', {
    ...other({ bound_service_account_namespaces: ['ns2'] }),
  }),
  write('kubernetes role of another account', 'auth/kubernetes/role/account', {
    ...other({ bound_service_account_names: ['other'] }),
  }),
  ...loginSteps('kubernetes', [
    ['right', ofPod('r'), 'pod'],
    ['role of all', ofPod('all')],
    ['another namespace', ofPod('ns')],
    ['another account', ofPod('account')],
    ['rejected by the cluster', (known) => ({ role: 'r', jwt: known['rejected'] })],
    ['wrong audience', accountToken({ audience: 'other' })],
    ['expired', accountToken({ ttl: -HOUR })],
    ['not yet valid', accountToken({ now: Date.now() + HOUR * 1_000 })],
    ['no JWT at all', () => ({ role: 'r', jwt: 'abc' })],
    ['unknown role', ofPod('ghost')],
    ['without a role', (known) => ({ jwt: known['podToken'] })],
    ['without a JWT', () => ({ role: 'r' })],
  ]),
  ofToken('pod', 'kubernetes token'),
  renew('pod', 'kubernetes token, renewed'),
  write('kubernetes role deleted', 'auth/kubernetes/role/r'),
  renew('pod', 'kubernetes token, its role deleted'),
  ...loginSteps('kubernetes', [['role deleted', ofPod('r')]]),
];

/** Requests to the auth methods `jwt` and `kubernetes`. */
export const JWT_STEPS: readonly Step[] = [...jwtSteps, ...kubernetesSteps];

/** Enables Kubernetes at both servers; its token of a pod is of the simulated cluster, and the stub accepts it, too. */
export async function clusters(
  real: { send: Send; known: Known },
  simulation: { send: Send; known: Known },
  simulated: SimulatedVault,
): Promise<TokenReviews> {
  const reviews = await TokenReviews.start();
  for (const { send } of [real, simulation])
    await send('POST', 'sys/auth/kubernetes', { type: 'kubernetes' });
  const account = simulated.kubernetesRole('cluster', {
    serviceAccount: 'app',
    audience: 'vault',
    policies: ['app'],
  });
  const config = {
    kubernetes_host: reviews.address,
    kubernetes_ca_cert: rootCertificates[0],
    disable_local_ca_jwt: true,
  };
  await real.send('POST', 'auth/kubernetes/config', config);
  const rejected = serviceAccountToken();
  reviews.reject(rejected);
  const tokens = { podToken: account.serviceAccountToken(), rejected };
  for (const { known } of [real, simulation]) Object.assign(known, tokens);
  return reviews;
}
