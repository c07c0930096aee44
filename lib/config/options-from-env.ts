import { VaultError } from '../errors/vault-error.js';
import { hiddenBytes, printedAs } from '../secret/hidden.js';
import { Secret } from '../secret/secret.js';
import type { TlsOptions } from '../client/tls-options.js';
import { resolveAddresses } from './addresses.js';
import { ENVIRONMENT, type Variable } from './environment.js';
import { findVariable, type FoundVariable } from './find-variable.js';
import { goBoolean, goDuration } from './go-values.js';
import { resolveNetworkOptions } from './network-options.js';
import type { VaultOptions } from './options.js';

/** The options that lead to the server. @inline */
export interface VaultOptionsFromEnv extends Pick<
  VaultOptions,
  'namespace' | 'headers' | 'tls' | 'proxy' | 'timeout'
> {
  address: string;
}

/** The first of these variables that is set. */
type Find = (...variables: Variable[]) => FoundVariable | undefined;

/**
 * Reads the way to the server from the environment variables of the Go clients: everything but `auth`. Each name is
 * read with the prefix `BAO_`, and if that is unset with `VAULT_`: `VAULT_ADDR`, `VAULT_AGENT_ADDR` (before
 * `VAULT_ADDR`), `VAULT_NAMESPACE`, `VAULT_CACERT`, `VAULT_CLIENT_CERT`, `VAULT_CLIENT_KEY`, `VAULT_TLS_SERVER_NAME`,
 * `VAULT_CLIENT_TIMEOUT` and others; the page "Reaching the server" lists all of them. An empty variable counts as unset.
 *
 * ```ts
 * VaultModule.forRoot({ ...vaultOptionsFromEnv(), auth: appRole({ roleId: 'orders', secretId: fromEnv('SECRET_ID') }) })
 * ```
 *
 * @param env the variables (default: `process.env`)
 * @returns the options that are set; keys, values of headers and the proxy in it are not printed
 * @throws VaultError `VAULT_CONFIG_INVALID`, naming the variables, if there is no address (it has no default here), if a
 * value is invalid, or if one asks for something that this client does not do, as `VAULT_SKIP_VERIFY`. Files are read
 * later, at the start of the connection.
 * @publicApi
 */
export function vaultOptionsFromEnv(
  env: Readonly<Record<string, string | undefined>> = process.env,
): VaultOptionsFromEnv {
  return readOptions(env, 'Instead of `vaultOptionsFromEnv()`, the options can also be given in code.');
}

/**
 * {@link vaultOptionsFromEnv} for a caller that offers another way.
 *
 * @param otherWay a sentence for the hint of the error
 */
export function readOptions(
  env: Readonly<Record<string, string | undefined>>,
  otherWay: string,
): VaultOptionsFromEnv {
  const find: Find = (...variables) => {
    for (const variable of variables) {
      const found = findVariable(env, variable);
      if (found) return found;
    }
    return undefined;
  };
  const problems: string[] = [];
  refuse(find, problems);
  const address = find('AGENT_ADDR', 'ADDR');
  const namespace = find('NAMESPACE');
  const headers = readHeaders(find('HEADERS'), problems);
  const timeout = readTimeout(find('CLIENT_TIMEOUT'), problems);
  const proxy = find('PROXY_ADDR', 'HTTP_PROXY');
  // They belong to VAULT_ADDR: an agent on this machine may need none.
  const tls = resolveAddresses(address?.value, [])[0]?.startsWith('https:') ? readTls(find, problems) : {};
  const options = {
    address: address?.value ?? '',
    ...(namespace && { namespace: namespace.value }),
    ...(headers && { headers }),
    ...(timeout !== undefined && { timeout }),
    ...(Object.keys(tls).length > 0 && { tls }),
    ...(proxy && { proxy: new Secret(proxy.value) }),
  };
  if (address) problems.push(...problemsOf(options, find));
  else
    problems.push(
      'VAULT_ADDR is not set (as "https://vault.internal:8200"; the default of the Go clients, ' +
        'https://127.0.0.1:8200, is not used; no `.env` file is read here)',
    );
  if (problems.length === 0) return options;
  throw new VaultError({
    code: 'VAULT_CONFIG_INVALID',
    message: `The environment variables of the Vault connection are invalid: ${problems.join('; ')}.`,
    hint: `Correct each of these variables. ${otherWay}`,
  });
}

function refuse(find: Find, problems: string[]): void {
  for (const [variable, rule] of Object.entries(ENVIRONMENT)) {
    const found = rule.use === 'refused' && find(variable as Variable);
    if (found && goBoolean(found.value) !== false) problems.push(`${found.name} is refused: ${rule.why}`);
  }
}

function readTimeout(found: FoundVariable | undefined, problems: string[]): number | undefined {
  if (!found) return undefined;
  const timeout = goDuration(found.value);
  if (!timeout)
    problems.push(`${found.name} must be a duration above 0, as "90s" or "1m30s"; a number alone is seconds`);
  return timeout || undefined;
}

function readHeaders(
  found: FoundVariable | undefined,
  problems: string[],
): Record<string, string> | undefined {
  if (!found) return undefined;
  try {
    const headers: unknown = JSON.parse(found.value);
    if (typeof headers === 'object' && headers !== null)
      return printedAs('[redacted]', headers as Record<string, string>);
  } catch {
    // The error of the parser shows the value.
  }
  problems.push(`${found.name} must be a JSON object of names and strings, as {"x-gateway": "…"}`);
  return undefined;
}

function readTls(find: Find, problems: string[]): TlsOptions {
  const ca = [...paths(find('CACERT')), ...bytes(find('CACERT_BYTES')), ...paths(find('CAPATH'))];
  const [cert] = [...paths(find('CLIENT_CERT')), ...bytes(find('CLIENT_CERT_BYTES'))];
  const [key] = [...paths(find('CLIENT_KEY')), ...bytes(find('CLIENT_KEY_BYTES'))];
  if ((cert === undefined) !== (key === undefined))
    problems.push('VAULT_CLIENT_CERT and VAULT_CLIENT_KEY go together: only one of them is set');
  const serverName = find('TLS_SERVER_NAME')?.value;
  return {
    ...(ca.length > 0 && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(serverName !== undefined && { serverName }),
  };
}

function paths(found: FoundVariable | undefined): string[] {
  return found ? [found.value] : [];
}

/** As bytes, which are never taken for a path. */
function bytes(found: FoundVariable | undefined): Buffer[] {
  return found ? [hiddenBytes(found.value)] : [];
}

/** The problems that the options have without their files, each with the name of its variable. */
function problemsOf({ tls, ...options }: VaultOptionsFromEnv, find: Find): string[] {
  const problems: string[] = [];
  const { serverName } = tls ?? {};
  resolveNetworkOptions({ ...options, ...(serverName !== undefined && { tls: { serverName } }) }, problems);
  const named = Object.entries(ENVIRONMENT).flatMap(([variable, rule]): [string, string][] => {
    const found = rule.use === 'taken' && find(variable as Variable);
    return found ? [[rule.option, found.name]] : [];
  });
  return problems.map((problem) =>
    named.reduce((text, [option, name]) => text.replaceAll(`\`${option}\``, name), problem),
  );
}
