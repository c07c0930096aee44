import type { ApiAnswer, ApiOptions } from '../support/servers.mjs';

/** The values that a script keeps of one server. */
export type Known = Record<string, string>;

/** One request, made from earlier answers. */
export interface Step {
  name: string;
  request: (known: Known) => [method: string, path: string, body?: unknown, options?: ApiOptions];
  /** Keeps the values of the answer that later requests need. */
  keep?: (answer: ApiAnswer, known: Known) => void;
  /** Delay before the request, in milliseconds. */
  wait?: number;
}

const steps: Step[] = [];
const step = (name: string, request: Step['request'], keep?: Step['keep'], wait?: number): void =>
  void steps.push({ name, request, ...(keep && { keep }), ...(wait && { wait }) });

const as = (token: string | undefined, more: ApiOptions = {}): ApiOptions => ({
  token: token ?? '',
  ...more,
});
const wrapped = (ttl: string, options: ApiOptions = {}): ApiOptions => ({
  ...options,
  headers: { ...options.headers, 'X-Vault-Wrap-TTL': ttl },
});
const ghost = 's.aaaaaaaaaaaaaaaaaaaaaaaa';
const keepToken =
  (name: string): Step['keep'] =>
  ({ body }, known) => {
    known[name] = body.auth.client_token as string;
    known[`${name}Accessor`] = body.auth.accessor as string;
  };
const keepLease =
  (name: string): Step['keep'] =>
  ({ body }, known) => {
    known[name] = body.lease_id as string;
  };
const keepWrap =
  (name: string): Step['keep'] =>
  ({ body }, known) => {
    known[name] = body.wrap_info.token as string;
  };
/** The time left of a token in seconds, which each server rounds differently. */
const nearly =
  (seconds: number, then?: Step['keep']): Step['keep'] =>
  ({ body }, known) => {
    then?.({ body, status: 0, headers: {} }, known);
    const answer = body.auth ?? body;
    if (Math.abs(seconds - answer.lease_duration) <= 20) answer.lease_duration = seconds;
  };
const login = 'auth/approle/login';

const POLICY = `
# permissions of the tests
path "secret/data/app/*" { capabilities = ["create", "read", "update", "patch"] }
path "secret/data/app/denied" { capabilities = ["deny"] }
path "secret/metadata/app/" { capabilities = ["list"] }
path "secret/data/+/shared/*" { capabilities = ["read"] }
path "database/creds/*" { capabilities = ["read"] }
path "kv1/create-only" { capabilities = ["create"] }
`;

// ---------------------------------------------------------------- set-up
step('policy write', () => ['PUT', 'sys/policies/acl/app', { policy: POLICY }]);
step('policy read', () => ['GET', 'sys/policies/acl/app']);
step('policy read unknown', () => ['GET', 'sys/policies/acl/ghost']);
step('policy list', () => ['LIST', 'sys/policies/acl']);
step('auth mount twice', () => ['POST', 'sys/auth/approle', { type: 'approle' }]);
step('mount twice', () => ['POST', 'sys/mounts/kv1', { type: 'kv' }]);

// ---------------------------------------------------------------- the node
step('health', () => ['GET', 'sys/health', undefined, as('')]);
step('health HEAD', () => ['HEAD', 'sys/health', undefined, as('')]);
step('health with codes', () => ['GET', 'sys/health?standbyok=true&activecode=299', undefined, as('')]);
step('seal-status', () => ['GET', 'sys/seal-status', undefined, as('')]);
step('leader', () => ['GET', 'sys/leader', undefined, as('')]);
step('init', () => ['GET', 'sys/init', undefined, as('')]);
step('unknown sys path', () => ['GET', 'sys/nosuch']);
step('unmounted, root', () => ['GET', 'nomount/x']);
step('unmounted, no token', () => ['GET', 'nomount/x', undefined, as('')]);

// ---------------------------------------------------------------- AppRole
const role = 'auth/approle/role/app';
step('role write', () => [
  'POST',
  role,
  { token_policies: ['app'], token_ttl: '5m', token_max_ttl: '10m', secret_id_num_uses: 0 },
]);
step('role read', () => ['GET', role]);
step('role list', () => ['LIST', 'auth/approle/role']);
step('role read unknown', () => ['GET', 'auth/approle/role/ghost']);
step(
  'role-id',
  () => ['GET', `${role}/role-id`],
  ({ body }, known) => {
    known['roleId'] = body.data.role_id as string;
  },
);
step('role-id of unknown', () => ['GET', 'auth/approle/role/ghost/role-id']);
step(
  'secret-id',
  () => ['POST', `${role}/secret-id`],
  ({ body }, known) => {
    known['secretId'] = body.data.secret_id as string;
  },
);
step('secret-id of unknown role', () => ['POST', 'auth/approle/role/ghost/secret-id']);
step('secret-id lookup', (k) => ['POST', `${role}/secret-id/lookup`, { secret_id: k['secretId'] }]);
step('secret-id lookup unknown', () => ['POST', `${role}/secret-id/lookup`, { secret_id: 'nothing' }]);
const credentials = (k: Known) => ({ role_id: k['roleId'], secret_id: k['secretId'] });
step('login', (k) => ['POST', login, credentials(k), as('')], keepToken('app'));
step('login, PUT', (k) => ['PUT', login, credentials(k), as('')]);
step('login, garbage token besides', (k) => ['POST', login, credentials(k), as('garbage')]);
step('login, spaces around', (k) => [
  'POST',
  login,
  { ...credentials(k), role_id: ` ${k['roleId']} ` },
  as(''),
]);
step('login, bad secret_id', (k) => ['POST', login, { ...credentials(k), secret_id: 'bad' }, as('')]);
step('login, bad role_id', (k) => ['POST', login, { ...credentials(k), role_id: 'bad' }, as('')]);
step('login, no secret_id', (k) => ['POST', login, { role_id: k['roleId'] }, as('')]);
step('login, empty secret_id', (k) => ['POST', login, { role_id: k['roleId'], secret_id: '' }, as('')]);
step('login, no role_id', (k) => ['POST', login, { secret_id: k['secretId'] }, as('')]);
step('login, no body', () => ['POST', login, undefined, as('')]);
step('login, GET', () => ['GET', login, undefined, as('')]);
step('login, JSON array', () => ['POST', login, [1], as('')]);
step('login, unmounted', () => ['POST', 'auth/nomount/login', {}, as('')]);
step('login, wrong subpath', () => ['POST', 'auth/approle/nosuch', {}, as('')]);
step(
  'login, wrapped',
  (k) => ['POST', login, credentials(k), wrapped('30s', as(''))],
  keepWrap('wrappedLogin'),
);
step('unwrap a login', (k) => ['POST', 'sys/wrapping/unwrap', undefined, as(k['wrappedLogin'])]);
step('secret-id destroy', (k) => ['POST', `${role}/secret-id/destroy`, { secret_id: k['secretId'] }]);
step('login, destroyed secret_id', (k) => ['POST', login, credentials(k), as('')]);
for (const [name, fields] of Object.entries({
  once: { secret_id_num_uses: 1, token_ttl: '60s' },
  cidr: { secret_id_bound_cidrs: ['10.9.0.0/16'] },
  elsewhere: { token_bound_cidrs: ['10.9.0.0/16'], token_ttl: '60s' },
  open: { bind_secret_id: false, secret_id_bound_cidrs: ['127.0.0.1/32'], token_ttl: '60s' },
  batch: { token_type: 'batch', token_ttl: '60s', token_policies: ['app'] },
  uses: { token_num_uses: 3, token_ttl: '60s', token_policies: ['app'] },
  periodic: { token_period: '60s', token_policies: ['app'] },
  short: { token_ttl: '1s', token_policies: ['app'] },
  locked: { token_ttl: '60s' },
})) {
  const path = `auth/approle/role/${name}`;
  const id = `${name}RoleId`;
  const own = (k: Known) => ({ role_id: k[id], secret_id: k[`${name}SecretId`] });
  step(`role ${name}`, () => ['POST', path, fields]);
  step(
    `role-id of ${name}`,
    () => ['GET', `${path}/role-id`],
    ({ body }, known) => {
      known[id] = body.data.role_id as string;
    },
  );
  if (name !== 'open') {
    step(
      `secret-id of ${name}`,
      () => ['POST', `${path}/secret-id`],
      ({ body }, known) => {
        known[`${name}SecretId`] = body.data.secret_id as string;
      },
    );
  }
  if (name === 'locked') {
    for (let attempt = 1; attempt <= 6; attempt++)
      step(`bad login ${attempt}`, (k) => ['POST', login, { role_id: k[id], secret_id: 'bad' }, as('')]);
  }
  step(
    `login ${name}`,
    (k) => ['POST', login, own(k), as('')],
    ({ body }, known) => {
      if (body.auth) known[name] = body.auth.client_token as string;
    },
  );
  if (name === 'open') step('secret-id of a role without', () => ['POST', `${path}/secret-id`, {}]);
  if (name === 'batch') {
    for (const [which, bounds] of Object.entries({
      'many uses': { cidr_list: ['10.9.0.0/16'] },
      'counted uses': { cidr_list: ['10.9.0.0/16'], num_uses: 3 },
      'a bound token': { token_bound_cidrs: ['10.9.0.0/16'] },
    })) {
      step(
        `secret-id bound to a network, ${which}`,
        () => ['POST', `${path}/secret-id`, bounds],
        ({ body }, known) => {
          known['boundSecretId'] = body.data.secret_id as string;
        },
      );
      const bound = (k: Known) => ({ role_id: k[id], secret_id: k['boundSecretId'] });
      step(`its look-up, ${which}`, (k) => [
        'POST',
        `${path}/secret-id/lookup`,
        { secret_id: k['boundSecretId'] },
      ]);
      step(`login with it, ${which}`, (k) => ['POST', login, bound(k), as('')]);
    }
  }
  if (name === 'once') step('login once more', (k) => ['POST', login, own(k), as('')]);
}

// ---------------------------------------------------------------- tokens
const self = 'auth/token/lookup-self';
step('lookup-self', (k) => ['GET', self, undefined, as(k['app'])]);
step('lookup-self, root', () => ['GET', self]);
step('lookup-self, no token', () => ['GET', self, undefined, as('')]);
step('lookup-self, unknown token', () => ['GET', self, undefined, as(ghost)]);
step('lookup-self, garbage', () => ['GET', self, undefined, as('garbage')]);
step('lookup-self, bearer', (k) => [
  'GET',
  self,
  undefined,
  { token: '', headers: { Authorization: `Bearer ${k['app']}` } },
]);
step('lookup-self from elsewhere', (k) => ['GET', self, undefined, as(k['elsewhere'])]);
step('renew-self, increment', (k) => ['POST', 'auth/token/renew-self', { increment: '30s' }, as(k['app'])]);
step('renew-self', (k) => ['POST', 'auth/token/renew-self', {}, as(k['app'])]);
step('lookup-self, renewed', (k) => ['GET', self, undefined, as(k['app'])]);
step('renew-self, bad increment', (k) => [
  'POST',
  'auth/token/renew-self',
  { increment: 'abc' },
  as(k['app']),
]);
step('renew-self, root', () => ['POST', 'auth/token/renew-self', {}]);
step('renew-self, unknown token', () => ['POST', 'auth/token/renew-self', {}, as(ghost)]);
step('renew-self, periodic', (k) => [
  'POST',
  'auth/token/renew-self',
  { increment: '9h' },
  as(k['periodic']),
]);
step('lookup-self, periodic', (k) => ['GET', self, undefined, as(k['periodic'])]);
step('renew-self, batch', (k) => ['POST', 'auth/token/renew-self', {}, as(k['batch'])]);
step('revoke-self, batch', (k) => ['POST', 'auth/token/revoke-self', {}, as(k['batch'])]);
step('lookup-self, batch', (k) => ['GET', self, undefined, as(k['batch'])]);
step('uses: 1st', (k) => ['GET', self, undefined, as(k['uses'])]);
step('uses: 2nd, denied', (k) => ['GET', 'secret/data/other', undefined, as(k['uses'])]);
step('uses: last, a lease', (k) => ['GET', 'database/creds/app', undefined, as(k['uses'])]);
step('uses: none left', (k) => ['GET', self, undefined, as(k['uses'])]);
step('create', () => ['POST', 'auth/token/create', { policies: ['app'], ttl: '60s' }], keepToken('made'));
step('create, no body', () => ['POST', 'auth/token/create', {}], keepToken('rooty'));
step('lookup-self, created', (k) => ['GET', self, undefined, as(k['made'])]);
step('create, above the system max', () => [
  'POST',
  'auth/token/create',
  { policies: ['app'], ttl: '99999h' },
]);
step('create by app token', (k) => ['POST', 'auth/token/create', {}, as(k['app'])]);
step(
  'create, explicit max',
  () => [
    'POST',
    'auth/token/create',
    { policies: ['app'], ttl: '30s', explicit_max_ttl: '60s', display_name: 'named', meta: { a: 'b' } },
  ],
  keepToken('explicit'),
);
step(
  'renew-self, explicit max',
  (k) => ['POST', 'auth/token/renew-self', { increment: '9h' }, as(k['explicit'])],
  nearly(60),
);
step(
  'create, not renewable',
  () => ['POST', 'auth/token/create', { policies: ['app'], ttl: '60s', renewable: false, no_parent: true }],
  keepToken('fixed'),
);
step('renew-self, not renewable', (k) => ['POST', 'auth/token/renew-self', {}, as(k['fixed'])]);
step(
  'create, periodic',
  () => ['POST', 'auth/token/create', { policies: ['app'], period: '60s' }],
  keepToken('pt'),
);
step('renew-self, created periodic', (k) => [
  'POST',
  'auth/token/renew-self',
  { increment: '9h' },
  as(k['pt']),
]);
step('lookup', (k) => ['POST', 'auth/token/lookup', { token: k['made'] }]);
step('lookup-accessor', (k) => ['POST', 'auth/token/lookup-accessor', { accessor: k['madeAccessor'] }]);
step('lookup-accessor unknown', () => ['POST', 'auth/token/lookup-accessor', { accessor: 'nothing' }]);
step('renew another', (k) => ['POST', 'auth/token/renew', { token: k['made'], increment: 45 }]);
step('renew unknown', () => ['POST', 'auth/token/renew', { token: ghost }]);
step('revoke unknown', () => ['POST', 'auth/token/revoke', { token: ghost }]);
step('revoke-accessor unknown', () => ['POST', 'auth/token/revoke-accessor', { accessor: 'nothing' }]);
step('revoke-self', (k) => ['POST', 'auth/token/revoke-self', {}, as(k['made'])]);
step('revoked: KV', (k) => ['GET', 'secret/data/app/x', undefined, as(k['made'])]);
step('revoked: revoke-self', (k) => ['POST', 'auth/token/revoke-self', {}, as(k['made'])]);
step('lookup revoked', (k) => ['POST', 'auth/token/lookup', { token: k['made'] }]);
step('role gone', () => ['DELETE', 'auth/approle/role/elsewhere']);
step('renew, role gone', (k) => ['POST', 'auth/token/renew', { token: k['elsewhere'] }]);
step('another role gone', () => ['DELETE', 'auth/approle/role/once']);
step('renew-self, role gone', (k) => ['POST', 'auth/token/renew-self', {}, as(k['once'])]);
step('lookup-self, role gone', (k) => ['GET', self, undefined, as(k['once'])]);

// ---------------------------------------------------------------- KV 2
const kv = 'secret/data/app/k';
step('kv2 write 1', (k) => ['POST', kv, { data: { a: '1', o: { x: 1, y: 2 } } }, as(k['app'])]);
step('kv2 write 2, PUT', (k) => ['PUT', kv, { data: { a: '2' } }, as(k['app'])]);
step('kv2 write, cas', (k) => ['POST', kv, { options: { cas: 2 }, data: { a: '3' } }, as(k['app'])]);
step('kv2 write, cas wrong', (k) => ['POST', kv, { options: { cas: 2 }, data: { a: '4' } }, as(k['app'])]);
step('kv2 write, cas 0', (k) => ['POST', kv, { options: { cas: 0 }, data: { a: '4' } }, as(k['app'])]);
step('kv2 write without data', (k) => ['POST', kv, {}, as(k['app'])]);
step('kv2 write empty data', (k) => ['POST', 'secret/data/app/empty', { data: {} }, as(k['app'])]);
step('kv2 read', (k) => ['GET', kv, undefined, as(k['app'])]);
step('kv2 read version 1', (k) => ['GET', `${kv}?version=1`, undefined, as(k['app'])]);
step('kv2 read version 0', (k) => ['GET', `${kv}?version=0`, undefined, as(k['app'])]);
step('kv2 read version 99', (k) => ['GET', `${kv}?version=99`, undefined, as(k['app'])]);
step('kv2 read version abc', (k) => ['GET', `${kv}?version=abc`, undefined, as(k['app'])]);
step('kv2 read missing', (k) => ['GET', 'secret/data/app/missing', undefined, as(k['app'])]);
step('kv2 read encoded', (k) => ['GET', 'secret/data/app/a%20b%2Fc', undefined, as(k['app'])]);
step('kv2 read without data/', () => ['GET', 'secret/app/k']);
step('kv2 patch', (k) => [
  'PATCH',
  kv,
  { data: { a: null, b: '5', o: { x: 9 } } },
  as(k['app'], { headers: { 'content-type': 'application/merge-patch+json' } }),
]);
step('kv2 read patched', (k) => ['GET', kv, undefined, as(k['app'])]);
step('kv2 patch, wrong type', (k) => ['PATCH', kv, { data: {} }, as(k['app'])]);
step('kv2 patch missing', (k) => [
  'PATCH',
  'secret/data/app/missing',
  { data: { a: 1 } },
  as(k['app'], { headers: { 'content-type': 'application/merge-patch+json' } }),
]);
step('kv2 subkeys', () => ['GET', 'secret/subkeys/app/k']);
step('kv2 delete version 1', () => ['POST', 'secret/delete/app/k', { versions: [1] }]);
step('kv2 read deleted', () => ['GET', `${kv}?version=1`]);
step('kv2 undelete', () => ['POST', 'secret/undelete/app/k', { versions: [1] }]);
step('kv2 read undeleted', () => ['GET', `${kv}?version=1`]);
step('kv2 destroy', () => ['PUT', 'secret/destroy/app/k', { versions: [2] }]);
step('kv2 read destroyed', () => ['GET', `${kv}?version=2`]);
step('kv2 delete latest', () => ['DELETE', kv]);
step('kv2 read latest deleted', () => ['GET', kv]);
step('kv2 metadata', () => ['GET', 'secret/metadata/app/k']);
step('kv2 metadata missing', () => ['GET', 'secret/metadata/app/missing']);
step('kv2 metadata write', () => [
  'POST',
  'secret/metadata/app/m',
  { custom_metadata: { o: 'me' }, delete_version_after: '1h', cas_required: true, max_versions: 3 },
]);
step('kv2 metadata read', () => ['GET', 'secret/metadata/app/m']);
step('kv2 cas required', () => ['POST', 'secret/data/app/m', { data: { a: 1 } }]);
step('kv2 cas given', () => ['POST', 'secret/data/app/m', { options: { cas: 0 }, data: { a: 1 } }]);
step('kv2 read with metadata', () => ['GET', 'secret/data/app/m']);
step('kv2 list', (k) => ['LIST', 'secret/metadata/app', undefined, as(k['app'])]);
step('kv2 list by query', (k) => ['GET', 'secret/metadata/app?list=true', undefined, as(k['app'])]);
step('kv2 list missing', () => ['LIST', 'secret/metadata/nosuch']);
step('kv2 list folders', () => ['LIST', 'secret/metadata']);
step('kv2 metadata delete', () => ['DELETE', 'secret/metadata/app/k']);
step('kv2 read after that', () => ['GET', kv]);
step('kv2 config', () => ['GET', 'secret/config']);

// ---------------------------------------------------------------- KV 1, policies
step('kv1 read missing', () => ['GET', 'kv1/x']);
step('kv1 write', () => ['POST', 'kv1/x', { a: '1' }]);
step('kv1 read', () => ['GET', 'kv1/x']);
step('kv1 write empty', () => ['POST', 'kv1/x', {}]);
step('kv1 list', () => ['LIST', 'kv1']);
step('kv1 delete', () => ['DELETE', 'kv1/x']);
step('create without update: new', (k) => ['POST', 'kv1/create-only', { a: 1 }, as(k['app'])]);
step('create without update: again', (k) => ['POST', 'kv1/create-only', { a: 2 }, as(k['app'])]);
step('denied', (k) => ['GET', 'secret/data/other/x', undefined, as(k['app'])]);
step('denied explicitly', (k) => ['GET', 'secret/data/app/denied', undefined, as(k['app'])]);
step('denied list', (k) => ['LIST', 'secret/metadata/other', undefined, as(k['app'])]);
step('denied delete', (k) => ['DELETE', 'secret/data/app/x', undefined, as(k['app'])]);
step('a segment by +', (k) => ['GET', 'secret/data/team/shared/x', undefined, as(k['app'])]);
step('a segment by +, too short', (k) => ['GET', 'secret/data/shared/x', undefined, as(k['app'])]);
step('unmounted, denied', (k) => ['GET', 'nomount/x', undefined, as(k['app'])]);
step('seal by app token', (k) => ['POST', 'sys/seal', {}, as(k['app'])]);
step('capabilities-self', (k) => [
  'POST',
  'sys/capabilities-self',
  { paths: ['secret/data/app/x', 'secret/data/other', 'secret/data/a/shared/b'] },
  as(k['app']),
]);
step('capabilities-self of one', (k) => [
  'POST',
  'sys/capabilities-self',
  { paths: ['kv1/x'] },
  as(k['app']),
]);
step('capabilities-self, root', () => ['POST', 'sys/capabilities-self', { paths: ['kv1/x'] }]);
step('cubbyhole missing', (k) => ['GET', 'cubbyhole/x', undefined, as(k['app'])]);
step('cubbyhole write', (k) => ['POST', 'cubbyhole/x', { a: 1 }, as(k['app'])]);
step('cubbyhole read', (k) => ['GET', 'cubbyhole/x', undefined, as(k['app'])]);

// ---------------------------------------------------------------- database and leases
const creds = 'database/creds/app';
step('role read', () => ['GET', 'database/roles/app']);
step('role read unknown', () => ['GET', 'database/roles/ghost']);
step('config read unknown', () => ['GET', 'database/config/ghost']);
step('creds', (k) => ['GET', creds, undefined, as(k['app'])], keepLease('lease'));
step(
  'creds of another role',
  (k) => ['GET', 'database/creds/long', undefined, as(k['app'])],
  keepLease('long'),
);
step('creds of unknown role', (k) => ['GET', 'database/creds/ghost', undefined, as(k['app'])]);
step('creds without a role', () => ['GET', 'database/creds/']);
step('creds, POST', () => ['POST', creds, {}]);
step(
  'creds of batch token',
  (k) => ['GET', 'database/creds/long', undefined, as(k['batch'])],
  nearly(60, keepLease('batchLease')),
);
step('creds, unknown connection', () => ['GET', 'database/creds/nodb']);
const lease = (k: Known, more: object = {}) => ({ lease_id: k['lease'], ...more });
const renew = 'sys/leases/renew';
step('renew', (k) => ['POST', renew, lease(k), as(k['app'])]);
step('renew, increment', (k) => ['POST', renew, lease(k, { increment: 40 }), as(k['app'])]);
step('renew, PUT, text', (k) => ['PUT', renew, lease(k, { increment: '15s' }), as(k['app'])]);
step('renew by another token', (k) => ['POST', renew, lease(k), as(k['periodic'])]);
step('renew, bad increment', (k) => ['POST', renew, lease(k, { increment: 'abc' }), as(k['app'])]);
step('renew, negative', (k) => ['POST', renew, lease(k, { increment: -5 }), as(k['app'])]);
step('renew unknown', (k) => ['POST', renew, { lease_id: `${creds}/nothing` }, as(k['app'])]);
step('renew without id', (k) => ['POST', renew, {}, as(k['app'])]);
step('renew by URL', (k) => ['PUT', `${renew}/${k['lease']}`, {}, as(k['app'])]);
step('renew by URL, root', (k) => ['PUT', `${renew}/${k['lease']}`, { increment: 20 }]);
step(
  'renew of batch token',
  (k) => ['POST', renew, { lease_id: k['batchLease'] }, as(k['batch'])],
  nearly(60),
);
step('lookup', (k) => ['POST', 'sys/leases/lookup', lease(k), as(k['app'])]);
step('lookup, never renewed', (k) => ['POST', 'sys/leases/lookup', { lease_id: k['long'] }]);
step('lookup unknown', (k) => ['POST', 'sys/leases/lookup', { lease_id: 'x' }, as(k['app'])]);
step(
  'LIST leases',
  () => ['LIST', `sys/leases/lookup/${creds}`],
  ({ body }) => {
    body.data.keys.length = 1;
  },
);
step('LIST leases of nothing', () => ['LIST', 'sys/leases/lookup/database/creds/ghost']);
step('revoke by app token', (k) => ['POST', 'sys/leases/revoke', lease(k), as(k['app'])]);
step('revoke, sync', (k) => ['POST', 'sys/leases/revoke', lease(k, { sync: true })]);
step('renew after revoke', (k) => ['POST', renew, lease(k), as(k['app'])]);
step('revoke again', (k) => ['POST', 'sys/leases/revoke', lease(k, { sync: true })]);
step('revoke without id', () => ['POST', 'sys/leases/revoke', {}]);
step('revoke, async', (k) => ['POST', 'sys/leases/revoke', { lease_id: k['batchLease'], sync: false }]);
step('revoke unknown, async', () => ['POST', 'sys/leases/revoke', { lease_id: 'x/y', sync: false }]);
step('revoke-prefix', () => ['POST', `sys/leases/revoke-prefix/${creds}`, { sync: true }]);
step('revoke-prefix by app token', (k) => ['POST', `sys/leases/revoke-prefix/${creds}`, {}, as(k['app'])]);
step('creds of periodic token', (k) => ['GET', creds, undefined, as(k['periodic'])], keepLease('tree'));
step('revoke its token', (k) => ['POST', 'auth/token/revoke-self', {}, as(k['periodic'])]);
step('renew a lease of a revoked token', (k) => ['POST', renew, { lease_id: k['tree'] }], undefined, 300);
step('static role', () => [
  'POST',
  'database/static-roles/fixed',
  { db_name: 'postgres', username: 'static_user', rotation_period: '1h' },
]);
step('static creds', () => ['GET', 'database/static-creds/fixed']);
step('static creds unknown', () => ['GET', 'database/static-creds/ghost']);
step('static role by a schedule', () => [
  'POST',
  'database/static-roles/scheduled',
  { db_name: 'postgres', username: 'static_user', rotation_schedule: '0 0 * * *', rotation_window: '1h' },
]);
step('static role, rotated too often', () => [
  'POST',
  'database/static-roles/hasty',
  { db_name: 'postgres', username: 'static_user', rotation_period: '4s' },
]);
step('static role read', () => ['GET', 'database/static-roles/fixed']);
step('static role rotate', () => ['POST', 'database/rotate-role/fixed', {}]);
step(
  'creds of a token about to end',
  (k) => ['GET', 'database/creds/long', undefined, as(k['pt'])],
  keepLease('outliving'),
);
step(
  'renew it, above the max',
  (k) => ['POST', renew, { lease_id: k['outliving'], increment: '9h' }, as(k['pt'])],
  nearly(7200),
);
step('shorten it', (k) => ['POST', renew, { lease_id: k['outliving'], increment: 1 }, as(k['pt'])]);
step(
  'ended by the server',
  (k) => ['POST', renew, { lease_id: k['outliving'] }, as(k['pt'])],
  undefined,
  2_300,
);
step('static role rotate unknown', () => ['POST', 'database/rotate-role/ghost', {}]);

// ---------------------------------------------------------------- wrapping
const unwrap = 'sys/wrapping/unwrap';
step('kv2 write to wrap', () => ['POST', 'secret/data/app/w', { data: { a: '1' } }]);
step('wrap', (k) => ['GET', 'secret/data/app/w', undefined, wrapped('30s', as(k['app']))], keepWrap('w1'));
step('wrapping lookup', (k) => ['POST', 'sys/wrapping/lookup', { token: k['w1'] }, as('')]);
step('wrapping lookup, header', (k) => ['POST', 'sys/wrapping/lookup', {}, as(k['w1'])]);
step('wrapping token, lookup-self', (k) => ['GET', self, undefined, as(k['w1'])]);
step(
  'wrap again',
  (k) => ['GET', 'secret/data/app/w', undefined, wrapped('30s', as(k['app']))],
  keepWrap('w2'),
);
step('unwrap', (k) => ['POST', unwrap, undefined, as(k['w2'])]);
step('unwrap again', (k) => ['POST', unwrap, undefined, as(k['w2'])]);
step('lookup after unwrap', (k) => ['POST', 'sys/wrapping/lookup', { token: k['w2'] }, as('')]);
step(
  'wrap a third',
  (k) => ['GET', 'secret/data/app/w', undefined, wrapped('30', as(k['app']))],
  keepWrap('w3'),
);
step('unwrap by body, no token', (k) => ['POST', unwrap, { token: k['w3'] }, as('')]);
step('unwrap by body', (k) => ['POST', unwrap, { token: k['w3'] }, as(k['app'])]);
step('unwrap garbage', () => ['POST', unwrap, undefined, as('garbage')]);
step('unwrap garbage by body', (k) => ['POST', unwrap, { token: 'garbage' }, as(k['app'])]);
step('unwrap no wrapping token', (k) => ['POST', unwrap, undefined, as(k['app'])]);
step('unwrap nothing', () => ['POST', unwrap, undefined, as('')]);
step('wrapping lookup, garbage', () => ['POST', 'sys/wrapping/lookup', { token: 'garbage' }, as('')]);
step('wrap TTL abc', (k) => ['GET', 'secret/data/app/w', undefined, wrapped('abc', as(k['app']))]);
step('wrap TTL -5', (k) => ['GET', 'secret/data/app/w', undefined, wrapped('-5', as(k['app']))]);
step('wrap TTL 0', (k) => ['GET', 'secret/data/app/w', undefined, wrapped('0', as(k['app']))]);
step('wrap a refusal', (k) => ['GET', 'secret/data/other/x', undefined, wrapped('30s', as(k['app']))]);
step('wrap a 404', (k) => ['GET', 'secret/data/app/missing', undefined, wrapped('30s', as(k['app']))]);
step('wrap creds', (k) => ['GET', creds, undefined, wrapped('30s', as(k['app']))], keepWrap('w4'));
step('unwrap creds', (k) => ['POST', unwrap, undefined, as(k['w4'])]);
step(
  'sys/wrapping/wrap',
  (k) => ['POST', 'sys/wrapping/wrap', { a: 1 }, wrapped('30s', as(k['app']))],
  keepWrap('w5'),
);
step('rewrap', (k) => ['POST', 'sys/wrapping/rewrap', { token: k['w5'] }], keepWrap('w6'));
step('unwrap after rewrap', (k) => ['POST', unwrap, undefined, as(k['w5'])]);
step('unwrap the rewrapped', (k) => ['POST', unwrap, undefined, as(k['w6'])]);
step('wrap without TTL', (k) => ['POST', 'sys/wrapping/wrap', { a: 1 }, as(k['app'])]);

// ---------------------------------------------------------------- namespaces, rate limits, times
step('namespace unknown', () => ['GET', self, undefined, { namespace: 'ghost' }]);
step('namespace root', () => ['GET', self, undefined, { namespace: 'root' }]);
step('namespace create', () => ['POST', 'sys/namespaces/team', {}]);
step('namespace list', () => ['LIST', 'sys/namespaces']);
step('namespace: mount', () => ['POST', 'sys/mounts/kv1', { type: 'kv' }, { namespace: 'team' }]);
step('namespace: write', () => ['POST', 'kv1/x', { a: 1 }, { namespace: 'team' }]);
step('namespace: read', () => ['GET', 'kv1/x', undefined, { namespace: 'team' }]);
step('namespace: read by path', () => ['GET', 'team/kv1/x']);
step('namespace: not in root', () => ['GET', 'kv1/x']);
step('namespace: token of root', (k) => ['GET', 'kv1/x', undefined, as(k['app'], { namespace: 'team' })]);
step(
  'namespace: create token',
  () => ['POST', 'auth/token/create', { policies: ['default'], ttl: '60s' }, { namespace: 'team' }],
  keepToken('team'),
);
step('namespace: lookup-self', (k) => ['GET', self, undefined, as(k['team'], { namespace: 'team' })]);
step('namespace: token outside', (k) => ['GET', 'kv1/x', undefined, as(k['team'])]);
step('rate limit', () => ['POST', 'sys/quotas/rate-limit/q', { path: 'kv1', rate: 1, interval: '60s' }]);
step('rate limited 1', () => ['GET', 'kv1/zz']);
step('rate limited 2', () => ['GET', 'kv1/zz']);
step('not rate limited', () => ['GET', 'secret/data/app/zz']);
step('rate limit removed', () => ['DELETE', 'sys/quotas/rate-limit/q']);
step('expired token', (k) => ['GET', self, undefined, as(k['short'])], undefined, 500);
step('malformed JSON', () => ['POST', login, 'x{', as('')]);
step('malformed JSON, in an object', () => ['POST', login, '{"role_id": x}', as('')]);
step('malformed JSON, truncated', () => ['POST', login, '{"role_id": "', as('')]);
step('malformed JSON, more after it', () => ['POST', login, '{"role_id": "a"}zz', as('')]);

// ---------------------------------------------------------------- sealed
step('seal', () => ['POST', 'sys/seal', {}]);
step('sealed: KV', () => ['GET', 'secret/data/app/w']);
step('sealed: login', (k) => ['POST', login, credentials(k), as('')]);
step('sealed: lookup-self', (k) => ['GET', self, undefined, as(k['app'])]);
step('sealed: unwrap', (k) => ['POST', unwrap, undefined, as(k['w6'])]);
step('sealed: unmounted', () => ['GET', 'nomount/x']);
step('sealed: health', () => ['GET', 'sys/health', undefined, as('')]);
step('sealed: health HEAD', () => ['HEAD', 'sys/health', undefined, as('')]);
step('sealed: seal-status', () => ['GET', 'sys/seal-status', undefined, as('')]);
step('sealed: leader', () => ['GET', 'sys/leader', undefined, as('')]);
step('sealed: init', () => ['GET', 'sys/init', undefined, as('')]);

/** The steps that a server supports: the community edition of HashiCorp Vault has no namespaces. */
export function stepsFor(kind: 'openbao' | 'vault'): readonly Step[] {
  return steps.filter(({ name }) => kind === 'openbao' || !name.startsWith('namespace:'));
}
