import { expect, it } from 'vitest';
import { problemsOf } from '../../../../lib/cli/dev/check-file.js';

const CANARY = 'canary-51c2';

it('a whole file has no problem', () => {
  expect(
    problemsOf({
      dialect: 'vault',
      databases: {
        shop: {
          url: `postgresql://postgres:${CANARY}@127.0.0.1/shop`,
          prepare: ['CREATE TABLE IF NOT EXISTS x (id int)'],
          addressOnServer: 'postgres:5432',
          mount: 'database',
          roles: {
            orders: { defaultTtl: '30s', maxTtl: 60, creationStatements: ['x'], renewStatements: [] },
          },
          staticRoles: { fixed: { username: 'fixed', rotationPeriod: '1h' } },
        },
        memory: { roles: { any: {} } },
      },
      kv: { payments: { apiKey: CANARY }, 'team/mail': {} },
      kvMounts: { legacy: { version: 1, secrets: { old: { a: 1 } } } },
      policies: {
        orders: { 'secret/data/*': ['read', 'list'] },
        hcl: 'path "x" { capabilities = ["read"] }',
      },
      appRoles: { orders: { policies: ['orders', 'default'], tokenPeriod: '1h', tokenType: 'batch' } },
      leasedSecrets: {
        'rabbitmq/creds/orders': { ttl: '1m', renewable: false, data: { username: 'guest' } },
      },
    }),
  ).toEqual([]);
  expect(problemsOf({})).toEqual([]);
});

it('tells all problems at once, by path and expectation, without a value', () => {
  const problems = problemsOf({
    dialekt: CANARY,
    databases: {
      shop: {
        url: CANARY,
        roles: { orders: { defaultTtl: '30 sec', creationStatements: CANARY } },
        addressOnServer: 'x',
      },
      'my db': { mount: '../x', staticRoles: { fixed: { rotationPeriod: true } } },
    },
    kv: { payments: CANARY },
    kvMounts: { legacy: { version: 3 } },
    policies: { orders: { 'secret/*': ['write'] }, empty: '' },
    appRoles: { orders: { tokenNumUses: -1, policies: 'orders', constructor: 1 } },
    leasedSecrets: { 'x/y': { ttl: null } },
  });
  expect(problems).toEqual([
    'dialekt is unknown; known are dialect, databases, kv, kvMounts, policies, appRoles, leasedSecrets',
    expect.stringMatching(/^databases\.shop\.url must be a URL such as postgresql:\/\/.*, not this text$/),
    expect.stringMatching(
      /^databases\.shop\.roles\.orders\.defaultTtl must be seconds, or a text such as '30s'/,
    ),
    'databases.shop.roles.orders.creationStatements must be a list, not this text',
    'databases.shop.addressOnServer must be host and port, such as postgres:5432, not this text',
    'databases["my db"].mount must be the name of a mount, not this text',
    'databases["my db"].staticRoles.fixed.username is missing',
    expect.stringMatching(
      /^databases\["my db"\]\.staticRoles\.fixed\.rotationPeriod must be .*, not a boolean$/,
    ),
    'kv.payments must be an object of values, not this text',
    'kvMounts.legacy.secrets is missing',
    'kvMounts.legacy.version must be 1 or 2, not this number',
    expect.stringMatching(/^policies\.orders\["secret\/\*"\]\[0\] must be "create" or "read"/),
    'policies.empty must be a text, not an empty text',
    'appRoles.orders.tokenNumUses must be a whole number, not this number',
    'appRoles.orders.policies must be a list, not this text',
    expect.stringMatching(/^appRoles\.orders\.constructor is unknown/),
    'leasedSecrets["x/y"].data is missing',
    expect.stringMatching(/^leasedSecrets\["x\/y"\]\.ttl must be seconds, .* not empty$/),
  ]);
  expect(problems.join()).not.toContain(CANARY);
});

it.each([
  [undefined, 'it must be an object, not empty'],
  [[], 'it must be an object, not a list'],
  [
    { databases: { shop: { url: 'mysql://root:x@localhost/shop', roles: { orders: {} } } } },
    'databases.shop.roles.orders.creationStatements is missing: the SQL that creates a user with {{name}} and {{password}}',
  ],
  [{ databases: { shop: { prepare: ['x'] } } }, 'databases.shop.prepare needs a `url`'],
  [
    { databases: { shop: { staticRoles: { a: { username: 'a' } } } } },
    `databases.shop.staticRoles.a.rotationPeriod is missing, such as '1h'`,
  ],
  [
    { appRoles: { orders: { policies: ['order'] } } },
    'appRoles.orders.policies names "order", which is not in `policies`',
  ],
  [
    { leasedSecrets: { rabbitmq: { data: {} } } },
    'leasedSecrets.rabbitmq must be below a mount of its own, such as rabbitmq/creds/orders',
  ],
  [
    { leasedSecrets: { 'secret/x': { data: {} } } },
    'leasedSecrets["secret/x"] must be below a mount of its own, such as rabbitmq/creds/orders',
  ],
])('%j: %s', (file, problem) => {
  expect(problemsOf(file)).toEqual([problem]);
});
