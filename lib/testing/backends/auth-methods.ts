import type { Backend } from '../server/model.js';
import { Refusal } from '../server/refusal.js';
import type { ServerContext } from '../server/server-context.js';
import { AppRole } from './app-role.js';
import { Aws } from './aws.js';
import { AZURE } from './azure.js';
import { CloudAuth } from './cloud-auth.js';
import { GCP } from './gcp.js';
import { Cert } from './cert.js';
import { DirectoryAuth } from './directory-auth.js';
import { Github } from './github.js';
import { Jwt } from './jwt.js';
import { Kubernetes } from './kubernetes.js';
import { LDAP } from './ldap.js';
import { OKTA } from './okta.js';
import { RADIUS } from './radius.js';
import { Userpass } from './userpass.js';

/** Auth methods by the name of their type. */
const METHODS: Readonly<Record<string, (server: ServerContext) => Backend>> = {
  approle: (server) => new AppRole(server),
  aws: (server) => new Aws(server),
  azure: (server) => new CloudAuth(server, AZURE),
  gcp: (server) => new CloudAuth(server, GCP),
  cert: (server) => new Cert(server),
  github: (server) => new Github(server),
  jwt: (server) => new Jwt(server),
  kubernetes: (server) => new Kubernetes(server),
  ldap: (server) => new DirectoryAuth(server, LDAP),
  okta: (server) => new DirectoryAuth(server, OKTA),
  radius: (server) => new DirectoryAuth(server, RADIUS),
  userpass: (server) => new Userpass(server),
};

/** Types that HashiCorp Vault has built in, and OpenBao has not. */
const VAULT_ONLY = new Set([
  'alicloud',
  'aws',
  'azure',
  'cf',
  'gcp',
  'github',
  'kerberos',
  'ldap',
  'oci',
  'okta',
  'radius',
]);

/** Creates an auth method. OpenBao refuses the ones that it has no plugin of. */
export function authMethod(type: string, server: ServerContext): Backend {
  if (!server.vault && VAULT_ONLY.has(type))
    throw new Refusal(400, `plugin not found in the catalog: ${type}`);
  const create = METHODS[type];
  if (!create) throw new Refusal(400, `SimulatedVault has no auth method of type "${type}"`);
  return create(server);
}
