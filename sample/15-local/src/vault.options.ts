import {
  appRole,
  firstAvailable,
  fromEnv,
  fromFile,
  fromGitHubActions,
  fromWrappedToken,
  jwt,
  kubernetes,
  vaultOptionsFromEnv,
  type VaultOptions,
} from 'nestjs-vault';

/**
 * The same in every environment. VAULT_ADDR and the other variables of the Vault command line lead to the server. The
 * first method that finds its inputs logs in.
 */
export function vaultOptions(env: NodeJS.ProcessEnv = process.env): VaultOptions {
  const roleId = env['VAULT_ROLE_ID'] || 'orders';
  const serviceAccount = fromFile(env['SERVICE_ACCOUNT_TOKEN_FILE'] || '/var/run/secrets/vault/token');
  const wrappingToken = fromFile(env['WRAPPING_TOKEN_FILE'] || '/run/vault/wrapping-token');
  return {
    ...vaultOptionsFromEnv(env),
    auth: firstAvailable(
      // 18-kubernetes: the projected token of the service account.
      kubernetes({ role: 'orders', audience: 'vault', jwt: serviceAccount }),
      // 17-production: a wrapped secret_id, which an init step delivers at each start.
      appRole({ roleId, secretId: fromWrappedToken(wrappingToken) }),
      // 16-ci: the ID token of a job of GitLab, then of GitHub.
      jwt({ role: 'orders-ci', jwt: fromEnv('VAULT_ID_TOKEN') }),
      jwt({ role: 'orders-ci', jwt: fromGitHubActions({ audience: 'vault' }) }),
      // 15-local: the variables that `nestjs-vault dev` writes.
      appRole({ roleId, secretId: fromEnv('VAULT_SECRET_ID') }),
    ),
  };
}
