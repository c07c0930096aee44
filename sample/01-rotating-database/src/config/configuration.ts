/** The configuration of the application. It contains no secret: the library reads those at each login. */
export interface Configuration {
  http: { host: string; port: number };
  vault: VaultConfiguration;
  database: { host: string; port: number; database: string };
  /** Milliseconds between two queries of the load; 0 means no load. */
  loadInterval: number;
  /** Seconds after which the application ends by itself; 0 means never. */
  runFor: number;
}

export interface VaultConfiguration {
  address: string;
  /** Whether http:// is allowed over a network: for CI only. */
  allowHttp: boolean;
  namespace?: string;
  /** Path of a PEM file. */
  caFile?: string;
  auth: { roleId: string; mountPath: string; secretId: SecretIdSource } | 'token';
}

export type SecretIdSource = { env: string } | { file: string } | { wrappedInEnv: string };

/**
 * Reads the environment: the only place with names of variables. Nest calls it when it makes ConfigService, so an
 * import of the module needs no environment.
 */
export function configuration(env: NodeJS.ProcessEnv = process.env): Configuration {
  const problems: string[] = [];
  const text = (name: string) => env[name]?.trim() || undefined;
  const required = (name: string, example: string) => {
    const value = text(name);
    if (value === undefined) problems.push(`${name} is missing (as ${example})`);
    return value ?? '';
  };
  const number = (name: string, byDefault: number, max: number) => {
    const value = Number(text(name) ?? byDefault);
    if (!(value >= 0 && value <= max)) problems.push(`${name} must be a number from 0 to ${max}`);
    return value;
  };

  const secretId = (): SecretIdSource => {
    const file = text('VAULT_SECRET_ID_FILE');
    if (text('VAULT_WRAPPED_SECRET_ID')) return { wrappedInEnv: 'VAULT_WRAPPED_SECRET_ID' };
    if (file) return { file };
    if (!text('VAULT_SECRET_ID')) {
      problems.push(
        'VAULT_ROLE_ID needs VAULT_SECRET_ID, VAULT_SECRET_ID_FILE or VAULT_WRAPPED_SECRET_ID beside it',
      );
    }
    return { env: 'VAULT_SECRET_ID' };
  };
  const auth = (): VaultConfiguration['auth'] => {
    const roleId = text('VAULT_ROLE_ID');
    if (roleId) return { roleId, mountPath: text('VAULT_APPROLE_MOUNT') ?? 'approle', secretId: secretId() };
    if (!text('VAULT_TOKEN')) problems.push('VAULT_ROLE_ID is missing (or VAULT_TOKEN, in development)');
    return 'token';
  };

  const namespace = text('VAULT_NAMESPACE');
  const caFile = text('VAULT_CACERT');
  const result: Configuration = {
    http: { host: text('HOST') ?? '127.0.0.1', port: number('PORT', 3000, 65_535) },
    vault: {
      address: required('VAULT_ADDR', 'https://vault.internal:8200'),
      allowHttp: text('VAULT_ALLOW_HTTP') === 'true',
      ...(namespace && { namespace }),
      ...(caFile && { caFile }),
      auth: auth(),
    },
    database: {
      host: text('PGHOST') ?? 'localhost',
      port: number('PGPORT', 5432, 65_535),
      database: required('PGDATABASE', 'shop'),
    },
    loadInterval: number('LOAD_INTERVAL_MS', 20, 60_000),
    runFor: number('RUN_FOR_SECONDS', 0, 2_000_000),
  };
  if (problems.length > 0) throw new Error(`The environment is incomplete:\n  ${problems.join('\n  ')}`);
  return result;
}
