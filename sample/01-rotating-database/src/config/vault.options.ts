import { appRole, fromEnv, fromFile, fromWrappedToken, token, type VaultOptions } from 'nestjs-vault';
import type { SecretIdSource, VaultConfiguration } from './configuration.js';

/** The options of VaultModule. They name the source of the secret_id; the library reads it at each login. */
export function vaultOptions({
  address,
  allowHttp,
  namespace,
  caFile,
  auth,
}: VaultConfiguration): VaultOptions {
  return {
    address,
    allowHttp,
    ...(namespace && { namespace }),
    ...(caFile && { tls: { ca: caFile } }),
    auth:
      auth === 'token'
        ? token(fromEnv('VAULT_TOKEN'))
        : appRole({ ...auth, secretId: source(auth.secretId) }),
  };
}

function source(secretId: SecretIdSource) {
  if ('env' in secretId) return fromEnv(secretId.env);
  if ('file' in secretId) return fromFile(secretId.file);
  return fromWrappedToken(fromEnv(secretId.wrappedInEnv));
}
