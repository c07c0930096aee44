import { expect, it } from 'vitest';
import { pathTemplate } from '../../../lib/events/path-template.js';

it.each([
  ['database/creds/orders', 'database/creds/{role}'],
  ['database/static-creds/orders', 'database/static-creds/{role}'],
  ['secret/data/tenants/42', 'secret/data/{path}'],
  ['secret/metadata/tenants', 'secret/metadata/{path}'],
  ['transit/encrypt/orders', 'transit/encrypt/{name}'],
  ['pki/issue/web', 'pki/issue/{role}'],
  // KV v1, or a mount with a slash: any part may be a name.
  ['kv1/tenants/42', 'kv1/{path}'],
  ['team/kv/data/42', 'team/{path}'],
  ['kv1/data', 'kv1/{path}'],
  ['auth/approle/login', 'auth/approle/login'],
  ['auth/corp/ldap/login', 'auth/corp/ldap/login'],
  ['auth/userpass/login/alice', 'auth/userpass/login/{name}'],
  ['auth/corp/ldap/login/alice', 'auth/corp/ldap/login/{name}'],
  ['auth/approle/role/app/secret-id', 'auth/approle/{path}'],
  ['auth/token/renew-self', 'auth/token/renew-self'],
  ['auth/token/lookup/hvs.canary', 'auth/token/{path}'],
  ['sys/leases/renew', 'sys/leases/renew'],
  ['sys/leases/lookup/database/creds/app', 'sys/leases/{name}'],
  ['sys/wrapping/unwrap', 'sys/wrapping/unwrap'],
  ['sys/mounts', 'sys/mounts'],
  ['sys/mounts/secret', 'sys/mounts/{name}'],
  ['cubbyhole/x', 'cubbyhole/{path}'],
  ['x', 'x'],
])('%s is shown as %s', (path, template) => {
  expect(pathTemplate(path)).toBe(template);
});
