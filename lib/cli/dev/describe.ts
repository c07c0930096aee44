import type { DevServerFile } from '../../testing/dev-server-file.js';
import { databaseOf, titleOf } from './database-url.js';

/** Lines about a simulated server and the content of its file, without secrets. */
export function describeFile(file: DevServerFile, address: string, name: string): string[] {
  const { dialect, databases = {}, kv = {}, kvMounts = {} } = file;
  const secrets = [
    ...Object.keys(kv).map((path) => `secret/${path}`),
    ...Object.entries(kvMounts).flatMap(([mount, { secrets: below }]) =>
      Object.keys(below).map((path) => `${mount}/${path}`),
    ),
  ];
  const product = dialect === 'vault' ? 'Vault' : 'OpenBao';
  return [
    `Simulated ${product} at ${address}, with the content of ${name}. For development only.`,
    ...Object.entries(databases).map(([database, { url, roles = {}, staticRoles = {} }]) => {
      const at = url === undefined ? undefined : databaseOf(url);
      const users = at ? `creates users in ${titleOf(at)}` : 'has no `url`: users exist in memory only';
      return `  database ${database} ${users}; roles: ${[...Object.keys(roles), ...Object.keys(staticRoles)].join(', ') || 'none'}`;
    }),
    ...(secrets.length > 0 ? [`  KV secrets: ${secrets.join(', ')}`] : []),
    'Ctrl-C ends it and drops its users. A change of the file is used at once.\n',
  ];
}
