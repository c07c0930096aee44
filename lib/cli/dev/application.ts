import { resolve } from 'node:path';
import type { DevServerFile } from '../../testing/dev-server-file.js';
import type { Cli } from '../command.js';
import type { DevSecrets } from './dev-secrets.js';
import { databaseOf } from './database-url.js';
import { appRolesOf } from './set-up.js';
import { shellLines, writePrivate, writeVariables, type Variables } from './variables.js';

/** Options of the command about the variables of the application. */
export interface VariableFlags {
  /** A `.env` file to write them into. */
  writeEnv?: string;
  /** A file for the secret_id. */
  secretIdFile?: string;
  /** Namespace of the server. */
  namespace?: string;
}

/** Gives the variables of an application: as lines to copy, or into files. */
export async function giveVariables(
  cli: Cli,
  file: DevServerFile,
  address: string,
  { secretId, kept }: DevSecrets,
  { writeEnv, secretIdFile, namespace }: VariableFlags,
): Promise<void> {
  const [[name, role], ...others] = appRolesOf(file);
  const { print, say, folder } = cli;
  const variables: Variables = {
    VAULT_ADDR: address,
    ...(namespace !== undefined && { VAULT_NAMESPACE: namespace }),
    VAULT_ROLE_ID: role.roleId ?? name,
    ...(secretIdFile === undefined
      ? { VAULT_SECRET_ID: secretId(name) }
      : { VAULT_SECRET_ID_FILE: secretIdFile }),
    ...databaseVariables(file),
  };
  if (secretIdFile !== undefined) await writePrivate(resolve(folder, secretIdFile), () => secretId(name));
  if (writeEnv !== undefined) {
    const replaced = await writeVariables(resolve(folder, writeEnv), variables);
    say(`${writeEnv} has the variables of the application: ${Object.keys(variables).join(', ')}.`);
    if (replaced.length > 0) say(`These had another value there, which is replaced: ${replaced.join(', ')}.`);
  } else {
    say('Variables of the application, for another terminal:\n');
    for (const line of shellLines(variables)) print(line);
  }
  if (!kept)
    say('\nThe home folder cannot be written, so the secret_id will be another one at the next start.');
  for (const [other, { roleId = other }] of others) {
    say(`\nFor an application with the AppRole ${other}, these instead:\n`);
    for (const line of shellLines({ VAULT_ROLE_ID: roleId, VAULT_SECRET_ID: secretId(other) })) print(line);
  }
}

/** The variables that pg reads, for the first PostgreSQL of the file. */
function databaseVariables({ databases = {} }: DevServerFile): Variables {
  for (const { url } of Object.values(databases)) {
    const address = url === undefined ? undefined : databaseOf(url);
    if (address?.kind.driver === 'pg')
      return { PGHOST: address.host, PGPORT: address.port, PGDATABASE: address.database };
  }
  return {};
}
