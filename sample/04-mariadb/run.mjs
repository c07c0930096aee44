// node sample/04-mariadb/run.mjs [seconds]: the sample on an OpenBao and a MariaDB of its own (mariadb-server has to be
// installed). Users live 10 s, at most 30 s. Ctrl-C, or the end of the time, ends all of it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import {
  mariaDbAvailable,
  provisionMariaDb,
  startMariaDb,
  usersInMariaDb,
} from '../../test/support/mariadb.mjs';
import { startOpenBao } from '../../test/support/servers.mjs';
import { ensureBuilt, ensureInstalled, ensureSample } from '../../scripts/ensure-installed.mjs';

const file = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');
// The sample ends by these; this process goes on until it has.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});

const available = mariaDbAvailable();
if (!available.ok) {
  console.error(`There is ${available.reason}`);
  process.exit(1);
}
await ensureInstalled();
await ensureBuilt();
const entry = await ensureSample('sample/04-mariadb');
const [bao, mariadb] = await Promise.all([startOpenBao(), startMariaDb()]);
try {
  await mariadb.query(file('setup.sql'));
  const { roleId, secretId } = await provisionMariaDb(bao, mariadb, {
    roles: [
      {
        name: 'orders',
        defaultTtl: '10s',
        maxTtl: '30s',
        creationStatements: [file('creation.sql')],
        revocationStatements: [file('revocation.sql')],
      },
    ],
    policy: file('policy.hcl'),
    approle: { token_no_default_policy: true, token_ttl: '20s', token_max_ttl: '60s' },
  });
  console.log(`OpenBao ${bao.address}, MariaDB ${mariadb.host}:${mariadb.port}`);
  const env = {
    ...process.env,
    VAULT_ADDR: bao.address,
    VAULT_ROLE_ID: roleId,
    VAULT_SECRET_ID: secretId,
    MYSQL_HOST: mariadb.host,
    MYSQL_PORT: String(mariadb.port),
    MYSQL_DATABASE: mariadb.database,
    RUN_FOR_SECONDS: process.argv[2] ?? '0',
  };
  const [code] = await once(spawn(process.execPath, [entry], { env, stdio: 'inherit' }), 'close');
  const left = await usersInMariaDb(mariadb);
  console.log(`${left.length} database users are left.`);
  process.exitCode = code === 0 && left.length === 0 ? 0 : 1;
} finally {
  await Promise.all([bao.stop(), mariadb.stop()]);
}
