/** Paths that stand for themselves. */
const FIXED =
  /^(auth\/.+\/login|auth\/token\/(create|(renew|lookup|revoke)-self)|sys\/leases\/(renew|lookup|revoke)|sys\/wrapping\/\w+|[^/]+)$/;

/** Parts of the API of an engine, which follow its mount, and the kind of name that follows them. */
const PARTS: Readonly<Record<string, string>> = {
  ...named('{path}', 'data', 'metadata', 'subkeys', 'delete', 'undelete', 'destroy'),
  ...named('{role}', 'creds', 'static-creds', 'roles', 'static-roles', 'issue', 'sign', 'sts', 'token'),
  ...named('{name}', 'keys', 'encrypt', 'decrypt', 'rewrap', 'hmac', 'verify', 'datakey', 'code', 'config'),
};

/**
 * An API path without the names in it, as there may be many: `secret/data/{path}` of `secret/data/tenants/42`. A path
 * of unknown form keeps its first part only.
 */
export function pathTemplate(path: string): string {
  if (FIXED.test(path)) return path;
  const login = /^auth\/.+\/login(?=\/[^/]+$)/.exec(path);
  if (login) return `${login[0]}/{name}`;
  const [first, second = '', third] = path.split('/');
  if (first === 'sys') return third === undefined ? path : `sys/${second}/{name}`;
  if (first === 'auth') return `auth/${second}/{path}`;
  const name = third === undefined ? undefined : PARTS[second];
  return name === undefined ? `${first}/{path}` : `${first}/${second}/${name}`;
}

function named(name: string, ...parts: string[]): Record<string, string> {
  return Object.fromEntries(parts.map((part) => [part, name]));
}
