import { basename } from 'node:path';
import { token } from '../../auth/token.js';
import { isLocal } from '../../client/clear-text.js';
import { findVariable, prefixed } from '../../config/find-variable.js';
import { vaultOptionsFromEnv } from '../../config/options-from-env.js';
import { VaultError } from '../../errors/vault-error.js';
import { invalid } from '../invalid.js';
import { withVault } from '../../services/connect-vault.js';
import type { VaultClient } from '../../session/vault-client.js';
import type { Cli } from '../command.js';
import { AdminDatabases } from './admin-databases.js';
import { giveVariables, type VariableFlags } from './application.js';
import { below } from './checks.js';
import type { DevSecrets } from './dev-secrets.js';
import { readDevFile } from './read-file.js';
import { setUp } from './set-up.js';

/** Options of the command about a real server. */
export interface ServerFlags extends VariableFlags {
  /** Address of the server. */
  server: string;
  /** Whether other people may use the server. */
  shared?: boolean;
}

/**
 * Sets a real server up with the content of a file.
 *
 * @param path absolute path of the file
 * @throws VaultError
 */
export async function setUpServer(
  path: string,
  flags: ServerFlags,
  cli: Cli,
  secrets: DevSecrets,
): Promise<void> {
  const { server, shared = false } = flags;
  const { env, folder, say } = cli;
  const given = findVariable(env, 'TOKEN');
  if (!given)
    throw invalid(
      'There is no token to set the server up with: VAULT_TOKEN is not set.',
      'Set VAULT_TOKEN (or BAO_TOKEN) to the root token that `bao server -dev` or `vault server -dev` prints.',
    );
  const way = vaultOptionsFromEnv(withAddress(env, server));
  if (!shared && !isLocal(server)) throw refused(`${server} is not on this machine`);
  const file = await readDevFile(path, folder);
  for (const [name, { url }] of Object.entries(file.databases ?? {}))
    if (url === undefined)
      throw invalid(
        `${below('databases', name)}.url is missing.`,
        'A real server needs a real database: add its URL.',
      );
  const databases = new AdminDatabases(folder);
  try {
    const options = { ...way, auth: token(given.value), logger: false as const };
    await withVault(options, async ({ client }) => {
      if (!shared && !(await isInMemory(client)))
        throw refused(`The server at ${server} keeps its data: it is no -dev server`);
      await databases.prepare(file.databases ?? {});
      const changes = await setUp(client, file, secrets.secretId);
      say(`${server}, from ${basename(path)}:`);
      for (const change of changes) say(`  ${change}`);
      if (changes.length === 0) say('  nothing to change: the server has all of it');
    });
  } finally {
    await databases.close();
  }
  if (Object.keys(file.leasedSecrets ?? {}).length > 0)
    say('  left out: leasedSecrets, which only the simulated server has');
  say('');
  const { namespace } = way;
  await giveVariables(cli, file, server, secrets, {
    ...flags,
    ...(namespace !== undefined && { namespace }),
  });
}

/** The environment, with this address in place of its own. */
function withAddress(env: NodeJS.ProcessEnv, server: string): NodeJS.ProcessEnv {
  const none = [...prefixed('AGENT_ADDR'), ...prefixed('ADDR')].map((name) => [name, undefined]);
  const [name = ''] = prefixed('ADDR');
  return { ...env, ...Object.fromEntries(none), [name]: server };
}

/** Whether the server loses everything when it ends, as development servers do. */
async function isInMemory(client: VaultClient): Promise<boolean> {
  const { data } = await client.read<{ storage_type?: unknown }>('sys/seal-status');
  return data.reveal().storage_type === 'inmem';
}

function refused(reason: string): VaultError {
  return invalid(
    `${reason}, so other people may use it.`,
    'The command writes policies, roles, KV secrets and an AppRole whose secret_id never expires, over those of the same ' +
      'name. If that is what you want there, add --shared-server.',
  );
}
