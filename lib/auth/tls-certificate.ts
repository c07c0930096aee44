import type { Explain, Explanation } from '../client/failed-response.js';
import type { AuthMethod } from './auth-method.js';
import { atMount, textProblems, type MountOptions } from './login-request.js';

/**
 * Options of {@link tlsCertificate}.
 *
 * @publicApi
 */
export interface TlsCertificateOptions extends MountOptions {
  /** Role of the method. @default any role that accepts the certificate */
  name?: string;
  /** Mount of the method, with or without the slash of the server's listing. @default 'cert' */
  mountPath?: string;
}

/**
 * Logs in with the client certificate of the connection: `tls.cert` and `tls.key`, or `tls.pfx`. If they are files, a login with the new
 * certificate follows within ten seconds after they were replaced, or at the next renewal: servers renew a token only with the
 * certificate of its login.
 *
 * At login it throws `VAULT_LOGIN_INPUT_INVALID` (the server accepts no such certificate, or received none),
 * `VAULT_LOGIN_DENIED` (the method is not enabled, or the network is not allowed) and `VAULT_LOGIN_MFA_REQUIRED`. Without
 * `tls.cert`, or with an `http://` address, the start fails with `VAULT_CONFIG_INVALID`.
 *
 * @example
 * connectVault({
 *   address: 'https://vault.internal:8200',
 *   tls: { ca: '/etc/tls/ca.crt', cert: '/etc/tls/tls.crt', key: '/etc/tls/tls.key' },
 *   auth: tlsCertificate({ name: 'orders' }),
 * });
 * @publicApi
 */
export function tlsCertificate(options: TlsCertificateOptions = {}): AuthMethod {
  const { given, problems, mount, place } = atMount(
    'tlsCertificate',
    options,
    { optional: ['name'] },
    'cert',
  );
  const { name } = given;
  problems.push(...textProblems('tlsCertificate', given, { optional: ['name'] }));
  return {
    name: 'tlsCertificate',
    problems,
    clientCertificate: true,
    version: (context) => context.clientCertificate(),
    missing: async (context) =>
      (await context.clientCertificate()) === '' ? 'the connection has no `tls.cert`' : undefined,
    async login(context) {
      const how = { ...place, explain, version: await context.clientCertificate() };
      return context.logIn(`auth/${mount}/login`, name === undefined ? {} : { name }, how);
    },
  };
}

const invalid = (message: string, hint: string): Explanation => ({
  code: 'VAULT_LOGIN_INPUT_INVALID',
  message,
  hint,
});

const explain: Explain = ({ said, path }) => {
  if (said(/client certificate must be supplied|no client certificate found/i))
    return invalid(
      `The server received no client certificate with the login at ${path}.`,
      'A proxy or load balancer in front of it ends TLS: it has to forward the connection, or the certificate in a header ' +
        'that the listener of the server accepts. Or the listener has tls_disable_client_certs.',
    );
  if (said(/expired or is not yet valid/i))
    return invalid(
      `The client certificate has expired, or is not yet valid by the clock of the server (login at ${path}).`,
      'Replace the files of `tls.cert` and `tls.key`; they are read again at each login.',
    );
  if (said(/incompatible key usage/i))
    return invalid(
      `The client certificate may not be used by clients (login at ${path}).`,
      'Issue one with the extended key usage clientAuth.',
    );
  if (said(/constraints .*login certificate|invalid certificate or no client certificate/i))
    return invalid(
      `No role of the login at ${path} accepts the client certificate.`,
      'Compare `name` with the names of the roles, the issuer of the certificate with `certificate` of the role, and its names ' +
        'with allowed_common_names, allowed_dns_sans and so on.',
    );
  return undefined;
};
