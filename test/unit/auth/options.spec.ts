import { expect, it } from 'vitest';
import {
  appRole,
  awsIam,
  azure,
  gcp,
  github,
  jwt,
  kubernetes,
  ldap,
  loginRequest,
  okta,
  radius,
  tlsCertificate,
  userpass,
  type AuthMethod,
} from '../../../lib/index.js';
import { cloudToken } from '../../auth/support/cloud-tokens.js';
import { loginSent } from '../../support/login-sent.js';

const JWT = cloudToken(Date.now(), { sub: 'orders' });
const PERSON = { username: 'bob', password: 'canary-password' };
const KEYS = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', secretAccessKey: 'canary-key' };
const PLACE = ['mountPath', 'namespace', 'totp'];

/** Each method with the options that it needs, and the names of those that it may have. */
const METHODS: [(options: any) => AuthMethod, needed: object, optional: string[]][] = [
  [appRole, { roleId: 'orders' }, ['secretId', ...PLACE]],
  [awsIam, {}, ['role', 'region', 'serverId', 'credentials', ...PLACE]],
  [
    azure,
    { role: 'orders' },
    [
      'resource',
      'clientId',
      'subscriptionId',
      'resourceGroupName',
      'resourceId',
      'identity',
      'jwt',
      ...PLACE,
    ],
  ],
  [gcp, { role: 'orders' }, ['type', 'serviceAccount', 'jwt', 'metadataAddress', 'googleAuth', ...PLACE]],
  [github, { token: 'canary-token' }, PLACE],
  [jwt, { jwt: JWT }, ['role', ...PLACE]],
  [kubernetes, { role: 'orders' }, ['jwt', 'audience', ...PLACE]],
  [ldap, PERSON, PLACE],
  [loginRequest, { path: 'auth/cf/login' }, ['body', 'namespace', 'totp']],
  [okta, PERSON, ['timeout', ...PLACE]],
  [radius, PERSON, PLACE],
  [tlsCertificate, {}, ['name', ...PLACE]],
  [userpass, PERSON, PLACE],
];

const NAMED = METHODS.map(([method, needed, optional]) => [method.name, method, needed, optional] as const);

it.each(NAMED)('%s: an option that is given as undefined is refused', (_name, method, needed, optional) => {
  expect(method(needed).problems).toEqual([]);
  for (const name of optional) {
    const { problems } = method({ ...needed, [name]: undefined });
    expect(problems, name).toEqual([
      expect.stringContaining(`has a \`${name}\` that is undefined: leave it out for the default`),
    ]);
  }
  for (const name of Object.keys(needed)) {
    const { problems = [] } = method({ ...needed, [name]: undefined });
    expect(problems, name).toEqual([expect.stringMatching(new RegExp(`needs (a|the) \`${name}\``))]);
  }
});

it.each(NAMED)('%s: options that are no object are refused', (_name, method) => {
  expect(method('canary').problems).toContainEqual(expect.stringMatching(/takes an object of options/));
  expect(method('canary').problems?.join()).not.toContain('canary');
});

// As a variable has it that a file or a shell has filled.
it.each<[path: string, AuthMethod, body: object]>([
  ['auth/approle/login', appRole({ roleId: ' orders\n' }), { role_id: 'orders' }],
  ['auth/jwt/login', jwt({ role: 'orders\n', jwt: JWT }), { role: 'orders' }],
  ['auth/k8s/login', kubernetes({ role: 'orders\n', jwt: JWT, mountPath: ' k8s\n' }), { role: 'orders' }],
  ['auth/gcp/login', gcp({ role: 'orders\r\n', jwt: JWT }), { role: 'orders' }],
  ['auth/azure/login', azure({ role: 'orders\n', jwt: JWT, resourceId: 'r\n' }), { role: 'orders' }],
  ['auth/aws/login', awsIam({ role: 'orders\n', credentials: KEYS }), { role: 'orders' }],
  ['auth/cert/login', tlsCertificate({ name: ' orders' }), { name: 'orders' }],
  ['auth/userpass/login/bob', userpass({ ...PERSON, username: 'bob\n' }), {}],
])('%s: white space around a text is not sent', async (path, method, body) => {
  expect(method.problems).toEqual([]);
  expect(await loginSent(method)).toMatchObject({ path, body });
});

it('a namespace and a region are used without the white space around them', async () => {
  const request = await loginSent(
    awsIam({ credentials: KEYS, region: 'eu-central-1\n', namespace: 'team\n' }),
  );
  expect(request.namespace).toBe('team');
  const url = (request.body as Record<string, string>)['iam_request_url'] ?? '';
  expect(Buffer.from(url, 'base64').toString()).toBe('https://sts.eu-central-1.amazonaws.com/');
});
